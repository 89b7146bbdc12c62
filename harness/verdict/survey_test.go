package verdict

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSiteKeys: a site has its file and line also where they are not known.
func TestSiteKeys(t *testing.T) {
	b, err := json.Marshal(Site{Function: "f"})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"function":"f"`, `"file":""`, `"line":0`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("%s is missing in %s", key, b)
		}
	}
}
