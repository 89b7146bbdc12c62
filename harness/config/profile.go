package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"

	"kcatch/configs"
	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

// maxProfile bounds a profile in bytes.
const maxProfile = 1 << 20

// readProfile returns the settings of a profile and notes their origins. name is a file when it looks like one, else an
// embedded name. Keys without a value ("smp:") are not set.
func (r *resolver) readProfile(name string) (map[string]any, error) {
	text, place, err := loadProfile(name, configs.Profiles())
	if err != nil {
		return nil, err
	}
	v := viper.NewWithOptions(viper.KeyDelimiter("\x00"))
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		return nil, &blame.Error{Kind: blame.Usage, Msg: place + ": not a profile: " + yamlCause(err),
			Hint: "a profile has lines like \"smp: 2\"; kcatch config shows the keys", Err: err}
	}
	lines := keyLines(string(text))
	at := func(key string) string {
		if n := lines[key]; n > 0 {
			return place + ":" + strconv.Itoa(n)
		}
		return place
	}
	known := make([]string, len(r.keys))
	for i, k := range r.keys {
		known[i] = k.name
	}
	for _, key := range profileKeys(v, lines) {
		if !slices.Contains(known, key) {
			return nil, unknownKey(key, at(key), known)
		}
		if key == "profile" {
			return nil, blame.New(blame.Usage, at(key)+": a profile cannot name another", "copy its lines")
		}
	}
	settings := v.AllSettings()
	for key := range settings {
		r.origins[key] = at(key)
	}
	return settings, nil
}

// profileKeys lists the top-level keys in the order of their lines, and by name where lines are not known. viper leaves
// out a key whose value is an empty map; its line tells of it.
func profileKeys(v *viper.Viper, lines map[string]int) []string {
	seen := map[string]bool{}
	for _, key := range v.AllKeys() {
		top, _, _ := strings.Cut(key, "\x00")
		seen[top] = true
	}
	for key := range lines {
		if v.InConfig(key) {
			seen[key] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b string) int {
		return cmp.Or(cmp.Compare(lines[a], lines[b]), cmp.Compare(a, b))
	})
}

// unknownKey refuses a key. Its name is lower case here, whatever the file has.
func unknownKey(name, place string, known []string) error {
	msg := place + ": unknown key " + strconv.Quote(clip(name))
	hint := "the keys are the flags' names; kcatch config lists them"
	switch near := nearest.Name(name, known, lettersPerEdit); {
	case name == "kernels" || name == "machines":
		hint = "this is a profile for kcatch smoke"
	case otherVerb(name) != "":
		hint = otherVerb(name)
	case strings.HasPrefix(name, "config_"):
		hint = "kernel options stand in a fragment: config: [FILE]"
	case near != "":
		msg += "; did you mean " + strconv.Quote(near) + "?"
	}
	return blame.New(blame.Usage, msg, hint)
}

// loadProfile returns the text of a profile and how to call it in messages: the file's name, or "profile NAME". embedded are the
// names to offer.
func loadProfile(name string, embedded []string) (text []byte, place string, err error) {
	ext := filepath.Ext(name)
	isFile := strings.ContainsRune(name, '/') || ext == ".yaml" || ext == ".yml"
	if !isFile {
		if b, ok := configs.Profile(name); ok {
			return b, "profile " + name, nil
		}
		if _, err := os.Stat(name); err != nil {
			hint := "there are " + strings.Join(embedded, ", ") + "; or name a YAML file"
			if near := didYouMean(name, embedded); near != "" {
				hint = near
			}
			return nil, "", blame.New(blame.Usage, "profile "+strconv.Quote(clip(name))+": no such profile or file", hint)
		}
	}
	refuse := func(cause string) error {
		return blame.New(blame.Usage, "profile "+name+": "+cause, "name a YAML file, or one of "+strings.Join(embedded, ", "))
	}
	info, err := os.Stat(name) // before opening: a FIFO would not let go
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", refuse("no such file")
	case err != nil:
		return nil, "", refuse(causeOf(err))
	case !info.Mode().IsRegular():
		return nil, "", refuse("not a regular file")
	case info.Size() > maxProfile:
		return nil, "", refuse("larger than 1 MiB")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, "", refuse(causeOf(err))
	}
	defer f.Close()
	if text, err = io.ReadAll(io.LimitReader(f, maxProfile)); err != nil {
		return nil, "", refuse(causeOf(err))
	}
	return text, name, nil
}

// causeOf is an error without the operation and the path that the message has already.
func causeOf(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// yamlCause is the telling line of a YAML error: viper puts a line of its own in front, and yaml lists several.
func yamlCause(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, "yaml: "); i >= 0 {
		s = s[i+len("yaml: "):]
	}
	s = strings.TrimPrefix(s, "unmarshal errors:")
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// keyLines finds the lines of the top-level keys, lower-cased as viper does it. It needs no more of YAML than that such
// a key begins its line; for a profile written as {smp: 2} there are no lines.
func keyLines(text string) map[string]int {
	lines := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		k, _, ok := strings.Cut(line, ":")
		if !ok || k == "" || strings.ContainsRune(" \t#-{[", rune(k[0])) {
			continue
		}
		k = strings.ToLower(strings.Trim(strings.TrimSpace(k), `"'`))
		if lines[k] == 0 {
			lines[k] = i + 1
		}
	}
	return lines
}
