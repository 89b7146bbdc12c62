package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"kcatch/internal/blame"
)

// Bounds of the guest's memory in bytes. Below 32 MiB no kernel of today unpacks itself; above 1 TiB is a slip.
const (
	minMemory = 32 << 20
	maxMemory = 1 << 40
)

// maxTimeout is the longest time for one boot.
const maxTimeout = 7 * 24 * time.Hour

// input is what checks of values may look at.
type input struct {
	classes []string
}

// bad is a refused value: the clause after the subject, and what to type.
func bad(hint, format string, args ...any) error {
	return blame.New(blame.Usage, fmt.Sprintf(format, args...), hint)
}

func notEmpty(values ...string) error {
	for _, v := range values {
		if strings.TrimSpace(v) == "" {
			return bad("leave it out to have the default", "the value is empty")
		}
		if strings.ContainsRune(v, 0) {
			return bad("", "the value has a NUL in it")
		}
	}
	return nil
}

func oneOf(v string, allowed ...string) error {
	for _, a := range allowed {
		if v == a {
			return nil
		}
	}
	return bad(didYouMean(v, allowed), "%q is none of %s", clip(v), strings.Join(allowed, ", "))
}

func number(v string, low, high int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, bad("", "%q is not a number from %d to %d", clip(v), low, high)
	}
	return n, nil
}

func (input) file(name string) error {
	info, err := stat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return bad("name a file in it", "%s is a directory", name)
	}
	return nil
}

func (input) dir(name string) error {
	info, err := stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return bad("name the directory that holds it", "%s is not a directory", name)
	}
	return nil
}

func stat(name string) (fs.FileInfo, error) {
	if err := notEmpty(name); err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, bad("check the path; a relative one begins at the working directory", "%s: no such file", name)
	case err != nil:
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, bad("", "%s: %v", name, err)
	}
	return info, nil
}

// match checks CLASS or CLASS:FUNCTION.
func (in input) match(v string) error {
	class, function, has := strings.Cut(v, ":")
	if err := in.class(class); err != nil {
		return err
	}
	if has && !isCName(function) {
		return bad("write it as early-exception:__SetPageReserved", "%q is not a function's name", clip(function))
	}
	return nil
}

func (in input) class(v string) error {
	for _, c := range in.classes {
		if v == c {
			return nil
		}
	}
	hint := didYouMean(v, in.classes)
	if hint == "" {
		hint = "one of " + strings.Join(in.classes, ", ")
	}
	return bad(hint, "%q is not a class of death", clip(v))
}

// isCName reports whether v can name a function or a symbol; compilers add suffixes with dots.
func isCName(v string) bool {
	for i := 0; i < len(v); i++ {
		c := v[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '.' && c != '$' && (c < '0' || c > '9')) {
			return false
		}
	}
	return v != ""
}

func putAppend(b *Boot, v []string, _ input) error {
	var args []string
	for _, a := range v {
		if strings.ContainsAny(a, "\x00\n\r") {
			return bad("separate arguments with blanks", "a kernel's command line is one line")
		}
		if a = strings.TrimSpace(a); a != "" {
			args = append(args, a)
		}
	}
	b.Append = strings.Join(args, " ")
	return nil
}

func putMemory(b *Boot, v []string, _ input) (err error) {
	b.Memory, err = size(v[0])
	return err
}

// size is a number of bytes: 512M, 2G, 524288K, each also with iB or B behind it; a plain number is MiB.
func size(v string) (uint64, error) {
	const hint = "write it as 512M or 2G; a plain number is MiB"
	digits := strings.TrimRight(v, "KMGTkmgtiIbB")
	shift := 20
	switch strings.ToUpper(v[len(digits):]) {
	case "", "M", "MB", "MIB":
	case "K", "KB", "KIB":
		shift = 10
	case "G", "GB", "GIB":
		shift = 30
	case "T", "TB", "TIB":
		shift = 40
	default:
		return 0, bad(hint, "%q is not a size", clip(v))
	}
	n, err := strconv.ParseUint(digits, 10, 41)
	if err != nil {
		return 0, bad(hint, "%q is not a size", clip(v))
	}
	if n > maxMemory>>shift || n<<shift < minMemory {
		return 0, bad(hint, "%s is not between 32M and 1T", clip(v))
	}
	if n<<shift%(1<<20) != 0 {
		return 0, bad(hint, "%s is not a whole number of MiB", clip(v))
	}
	return n << shift, nil
}

func putUntil(b *Boot, v []string, _ input) error {
	b.Until = v[0]
	if !isCName(v[0]) {
		return bad("--until init, --until console, or a function: --until start_kernel", "%q is no symbol of a kernel", clip(v[0]))
	}
	return nil
}

func putTimeout(b *Boot, v []string, _ input) error {
	const hint = "write it as 90s, 5m or 1h; a plain number is seconds"
	d, err := time.ParseDuration(v[0])
	if err != nil {
		d, err = time.ParseDuration(v[0] + "s")
	}
	if err != nil {
		return bad(hint, "%q is not a time", clip(v[0]))
	}
	if d <= 0 || d > maxTimeout {
		return bad(hint, "%s is not above 0 and at most a week", clip(v[0]))
	}
	b.Timeout = d
	return nil
}

func putFailOn(b *Boot, v []string, in input) error {
	b.FailOn = []string{}
	none := false
	in.classes = slices.DeleteFunc(slices.Clone(in.classes), func(c string) bool { return c == "ok" })
	for _, c := range strings.Split(strings.Join(v, ","), ",") {
		switch c = strings.TrimSpace(c); {
		case c == "none":
			none = true
			continue
		case c == "ok":
			return bad("", "ok is no death to fail on")
		}
		if err := in.class(c); err != nil {
			return err
		}
		b.FailOn = append(b.FailOn, c)
	}
	if none && len(b.FailOn) > 0 {
		return bad("--fail-on none stands alone", "none and a class at once")
	}
	return nil
}

// clip keeps a hostile value readable in a message.
func clip(s string) string {
	const limit = 60
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
