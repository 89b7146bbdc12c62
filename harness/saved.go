package harness

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// maxSaved is the largest file that is read as a result, in bytes: a survey's are some megabytes.
const maxSaved = 256 << 20

// ReadResult reads a result that was saved: the file that --json wrote, the result.json among a boot's artifacts, or their directory; of a survey it is the boot's.
// Its errors are the user's (blame.Usage).
func ReadResult(path string) (*verdict.Result, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, "result.json")
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, noResult(path, pathless(err))
	case !st.Mode().IsRegular():
		return nil, noResult(path, "not a regular file")
	case st.Size() > maxSaved:
		return nil, noResult(path, "too large for a result")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, noResult(path, pathless(err))
	}
	r, why := decodeResult(data)
	if why != "" {
		return nil, noResult(path, why)
	}
	return r, nil
}

// decodeResult is a result, or why data is none.
func decodeResult(data []byte) (r *verdict.Result, why string) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, "not JSON: " + err.Error()
	}
	r = new(verdict.Result)
	var err error
	switch head.Schema {
	case verdict.Schema:
		err = json.Unmarshal(data, r)
	case verdict.SurveySchema:
		err = json.Unmarshal(data, &struct {
			Boot *verdict.Result `json:"boot"`
		}{r})
	default:
		return nil, "not the result of one boot: its schema is \"" + head.Schema + "\", not " + verdict.Schema
	}
	if err != nil {
		return nil, err.Error()
	}
	return r, ""
}

// pathless is what went wrong, without the path that stands before it already.
func pathless(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

func noResult(path, why string) error {
	return blame.New(blame.Usage, path+": "+why, "give the file that kcatch boot --json wrote, or the directory of a boot's artifacts")
}
