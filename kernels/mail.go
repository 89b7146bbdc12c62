package kernels

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"kcatch/internal/blame"
)

// isMail reports whether a patch file is a mailbox or a single mail: it starts as an mbox does ("From 1234... Mon Sep 17"),
// or has mail headers before its first blank line.
func isMail(data []byte) bool {
	if bytes.HasPrefix(data, []byte("From ")) {
		return true
	}
	head := false
	for i, l := range strings.Split(string(data[:min(len(data), 16384)]), "\n") {
		l = strings.TrimRight(l, "\r")
		name, _, ok := strings.Cut(l, ":")
		switch {
		case l == "":
			return head
		case i > 0 && (l[0] == ' ' || l[0] == '\t'): // a folded header
		case !ok || strings.ContainsAny(name, " \t"):
			return false
		case strings.EqualFold(name, "From") || strings.EqualFold(name, "Subject"):
			head = true
		}
	}
	return false
}

// splitMail returns the diffs of a mailbox in order, decoded (quoted-printable, base64). Mails without one, as cover letters and replies
// are, are left out. git's own mailsplit and mailinfo do the work; dir is a scratch directory for them.
func splitMail(ctx context.Context, dir, name string, data []byte) ([][]byte, error) {
	fail := func(err error) error { return infra("patch "+name, dir, err) }
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fail(err)
	}
	box := filepath.Join(dir, "mbox")
	if err := os.WriteFile(box, data, 0o666); err != nil {
		return nil, fail(err)
	}
	mails := filepath.Join(dir, "mails")
	if err := os.MkdirAll(mails, 0o777); err != nil {
		return nil, fail(err)
	}
	// -b: a file that does not begin with a From line is one mail.
	if out, err := output(ctx, dir, gitEnv(dir), "git", "mailsplit", "-b", "-o"+mails, box); err != nil {
		if ctx.Err() != nil {
			return nil, interrupted("patch " + name)
		}
		return nil, blame.New(blame.Usage, fmt.Sprintf("patch: %s: not a mailbox: %s", name, lastLine(out)), "")
	}
	list, err := filepath.Glob(filepath.Join(mails, "[0-9]*"))
	if err != nil {
		return nil, fail(err)
	}
	sort.Strings(list)
	var diffs [][]byte
	for _, m := range list {
		cmd := command(ctx, dir, "git", "mailinfo", "-b", filepath.Join(dir, "msg"), filepath.Join(dir, "patch"))
		cmd.Env = gitEnv(dir)
		in, err := os.Open(m)
		if err != nil {
			return nil, fail(err)
		}
		cmd.Stdin = in
		out, err := cmd.CombinedOutput()
		in.Close()
		if ctx.Err() != nil {
			return nil, interrupted("patch " + name)
		}
		if err != nil {
			return nil, blame.New(blame.Usage, fmt.Sprintf("patch: %s: mail %s: %s", name, filepath.Base(m), lastLine(out)), "")
		}
		diff, err := os.ReadFile(filepath.Join(dir, "patch"))
		if err != nil {
			return nil, fail(err)
		}
		if _, err := parseDiff(diff); err == errNoDiff {
			continue
		}
		diffs = append(diffs, diff)
	}
	if len(diffs) == 0 {
		return nil, blame.New(blame.Usage, fmt.Sprintf("patch: %s: not a patch: none of its %d mails has a diff", name, len(list)), "")
	}
	return diffs, nil
}

// gitEnv keeps git to itself: no repository around dir, no configuration of the user's or the system's (apply.whitespace and
// core.autocrlf would change what is applied), nothing asked and nothing paged.
func gitEnv(dir string) []string {
	var env []string
	for _, e := range cEnv() {
		if !strings.HasPrefix(e, "GIT_") {
			env = append(env, e)
		}
	}
	return append(env,
		"GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat")
}
