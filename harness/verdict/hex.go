package verdict

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Hex is a 64-bit value that JSON carries as a "0x…" string, because JSON numbers lose bits above 2^53.
type Hex uint64

// String is 0x and lower-case digits, without leading zeros.
func (h Hex) String() string { return fmt.Sprintf("0x%x", uint64(h)) }

// MarshalJSON writes the string form.
func (h Hex) MarshalJSON() ([]byte, error) { return json.Marshal(h.String()) }

// UnmarshalJSON reads the string form.
func (h *Hex) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return fmt.Errorf("hex value %q: %w", s, err)
	}
	*h = Hex(v)
	return nil
}
