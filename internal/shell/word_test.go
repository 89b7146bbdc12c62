package shell

import (
	"os/exec"
	"testing"
)

// The outside oracle is the shell itself.
func TestWord(t *testing.T) {
	tests := []struct{ word, want string }{
		{"/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's", `'it'\''s'`},
		{"~/x", "'~/x'"},
		{"$(id)`id`\\\n*;&|<>\"", "'$(id)`id`\\\n*;&|<>\"'"},
	}
	for _, tt := range tests {
		if got := Word(tt.word); got != tt.want {
			t.Errorf("Word(%q) = %s, want %s", tt.word, got, tt.want)
		}
		out, err := exec.Command("sh", "-c", "printf %s "+Word(tt.word)).Output()
		if err != nil || string(out) != tt.word {
			t.Errorf("sh reads Word(%q) as %q, %v", tt.word, out, err)
		}
	}
}
