package kernels

import "testing"

func TestAdds(t *testing.T) {
	const diff = "--- a/include/x.h\t2026\n+++ b/include/x.h\t2026\n@@ -1 +1,2 @@\n-{ old }\n+{ BUG_ON(a,\t\tb);\t\\\n+  new }\n--- a/y.c\n+++ b/y.c\n+elsewhere\n"
	for _, tc := range []struct {
		file, text string
		want       bool
	}{
		{"include/x.h", "BUG_ON(a, b)", true},
		{"include/x.h", "old", false},
		{"include/x.h", "elsewhere", false},
		{"y.c", "elsewhere", true},
		{"z.c", "elsewhere", false},
	} {
		if got := adds([]byte(diff), tc.file, tc.text); got != tc.want {
			t.Errorf("adds(%s, %q) = %v", tc.file, tc.text, got)
		}
	}
	seed := Patch{Name: "pgflags-refcount", Files: []string{"include/linux/page-flags.h"}}
	form, ok := embeddedPatch(seed.Name)
	if !ok {
		t.Fatal("the embedded patch is gone")
	}
	for _, f := range form.forms {
		seed.Path = f.Path
		if !seed.Adds("include/linux/page-flags.h", "VM_BUG_ON_PGFLAGS(atomic_read(&policy(page, 1)->_refcount), page)") {
			t.Errorf("%s does not add the assertion", f.Path)
		}
	}
}
