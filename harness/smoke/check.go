package smoke

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// maxRetries is how often a cell may be tried again.
const maxRetries = 10

// Check refuses what cannot work before any download, copy, build or boot: names, expectations, the allow list, the baseline, and
// every argument and file that a cell's plan names, see [harness.Check].
func Check(ctx context.Context, req Request) error {
	if _, err := checkRequest(&req); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range req.Cells {
		p := req.Cells[i].Plan
		key := checkKey(&p)
		if seen[key] {
			continue
		}
		seen[key] = true
		if err := harness.Check(ctx, p); err != nil {
			return fmt.Errorf("cell %s: %w", req.Cells[i].Name, err)
		}
	}
	return nil
}

// checkKey is equal for plans of which [harness.Check] says the same.
func checkKey(p *harness.Plan) string {
	key := fmt.Sprintf("%q %q %q %q %q %q %q %q %d %d %q %q %q", p.Kernel, p.Vmlinux, p.BootVmlinux, p.Initrd, p.Machine, p.CPU, p.Until, p.QEMU,
		p.Memory, p.CPUs, p.QEMUArg, p.Workload, p.Modules)
	for _, c := range p.Checks {
		key += fmt.Sprintf(" %q %x %x %d", c.Name, sha256.Sum256([]byte(c.Command)), sha256.Sum256(c.Script), c.Limit)
	}
	if p.Build != nil {
		key += " " + buildKey(p)
	}
	return key
}

// checkRequest refuses what can be seen to be wrong without a look at a kernel. It returns the baseline; nil without one.
func checkRequest(req *Request) (*baseline, error) {
	refuse := func(format string, args ...any) error {
		return blame.New(blame.Usage, fmt.Sprintf(format, args...), "")
	}
	if len(req.Cells) == 0 {
		return nil, blame.New(blame.Usage, "smoke: no cells", "")
	}
	if req.Jobs < 0 || req.Keep < 0 {
		return nil, refuse("smoke: %d jobs, %d runs to keep: want none below 0", req.Jobs, req.Keep)
	}
	names := map[string]bool{}
	for i := range req.Cells {
		c := &req.Cells[i]
		if err := checkName(c.Name); err != nil {
			return nil, err
		}
		if names[c.Name] {
			return nil, refuse("cell %q: is there twice", c.Name)
		}
		names[c.Name] = true
		if c.Retries < 0 || c.Retries > maxRetries {
			return nil, refuse("cell %s: %d retries: want 0 to %d", c.Name, c.Retries, maxRetries)
		}
		if c.Expect != "" {
			if _, err := verdict.ParseMatch(c.Expect); err != nil {
				return nil, refuse("cell %s: expect: %v", c.Name, err)
			}
		}
	}
	for _, a := range req.Allow {
		if a.Signature == "" {
			return nil, refuse("allow: an entry without a signature")
		}
		if _, err := time.Parse(dateForm, a.Expires); err != nil {
			return nil, refuse("allow: %s: expires %q: want a day as 2027-01-31", oneLine(a.Signature), a.Expires)
		}
	}
	if req.Baseline == "" {
		return nil, nil
	}
	return readBaseline(req.Baseline)
}
