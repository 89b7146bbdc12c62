package smoke

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kcatch/harness/verdict"
)

// Matrix is the cells as they are going to be booted, with how long each took here as a rule.
func Matrix(cells []Cell, known map[string]time.Duration) verdict.Matrix {
	m := verdict.Matrix{Schema: verdict.MatrixSchema, Cells: []verdict.Planned{}}
	for i := range cells {
		c := &cells[i]
		p := &c.Plan
		row := verdict.Planned{
			Name: c.Name, Machine: p.Machine, CPU: p.CPU, Memory: p.Memory, CPUs: p.CPUs, Append: p.Append, Until: p.Until, Expect: c.Expect,
			Retries: c.Retries, Seconds: known[c.Name].Seconds(), Repeat: c.Repeat,
		}
		if r := p.Build; r != nil {
			row.Build = strings.Join(slices.Concat([]string{r.Tree}, r.Patches, []string{r.Base}, r.Fragments, r.Make), " + ")
		} else if row.Kernel = p.Kernel; row.Kernel == "" {
			row.Kernel = p.Vmlinux
		}
		for _, check := range p.Checks {
			row.Checks = append(row.Checks, check.Name)
		}
		m.Cells = append(m.Cells, row)
	}
	return m
}

// BaselineDurations are how long a boot of each cell took in the smoke result in a file; nil when it is none. [Check] says why. One of a
// part of a matrix has none either: where each machine compares with its own part of the last run, no two have the same.
func BaselineDurations(path string) map[string]time.Duration {
	st, err := os.Stat(path)
	if path == "" || err != nil || !st.Mode().IsRegular() || st.Size() > maxBaseline {
		return nil
	}
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil
	}
	var s struct {
		Schema string `json:"schema"`
		Shard  string `json:"shard"`
		Cells  []struct {
			Name  string        `json:"name"`
			Tries []verdict.Try `json:"tries"`
		} `json:"cells"`
	}
	if json.Unmarshal(data, &s) != nil || s.Schema != verdict.SmokeSchema || s.Shard != "" {
		return nil
	}
	known := map[string]time.Duration{}
	for _, c := range s.Cells {
		for _, t := range c.Tries {
			if t.Seconds > 0 && t.Seconds < 1e6 {
				known[c.Name] = time.Duration(t.Seconds * float64(time.Second))
			}
		}
	}
	return known
}
