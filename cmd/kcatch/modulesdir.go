package main

import (
	"os"

	"kcatch/internal/blame"
)

// checkModules refuses a --modules that is no directory, of the verbs that only look into it for lines: what is mistyped would cost the
// lines of the modules, without a word.
func checkModules(dir string) error {
	if dir == "" {
		return nil
	}
	switch st, err := os.Stat(dir); {
	case err != nil:
		return blame.New(blame.Usage, "--modules: "+dir+": no such directory", "give the directory that has the kernel's modules")
	case !st.IsDir():
		return blame.New(blame.Usage, "--modules: "+dir+": not a directory", "give the directory that has the kernel's modules")
	}
	return nil
}
