package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

func TestDoctorText(t *testing.T) {
	d := verdict.Doctor{}
	d.Add(verdict.DoctorCheck{Name: "gcc", Status: verdict.Healthy, Text: "gcc 12"})
	d.Add(verdict.DoctorCheck{Name: "flex", Status: verdict.Ill, Text: "not installed", Fix: "apt-get install flex", Packages: []string{"flex"}})
	d.Add(verdict.DoctorCheck{Name: "kvm", Status: verdict.Ailing, Text: "slow\x1b[2J"})
	var got strings.Builder
	if err := DoctorText(&got, &d, Style{}); err != nil {
		t.Fatal(err)
	}
	want := `ok       gcc   gcc 12
error    flex  not installed
               apt-get install flex
warning  kvm   slow\x1b[2J
1 error, 1 warning
kcatch doctor --fix installs flex
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
