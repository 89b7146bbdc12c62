package harness

import "testing"

func TestAvailableMemory(t *testing.T) {
	if AvailableMemory() == 0 {
		t.Error("this machine does not say what memory it has")
	}
}
