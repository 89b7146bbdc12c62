package timeline

import (
	"encoding/json"
	"fmt"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// Decode reads the boots of one side from a JSON result of boot (also with --repeat), survey or smoke. name is the file's, for what is
// said. An error is the user's: another file.
func Decode(name string, data []byte) (Side, error) {
	side := Side{Name: name}
	var file struct {
		Schema   string            `json:"schema"`
		Boot     *verdict.Result   `json:"boot"`     // survey
		Cells    []verdict.Cell    `json:"cells"`    // smoke
		Outcomes []verdict.Outcome `json:"outcomes"` // repeat
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return side, refuse(name, "is no JSON result: "+err.Error())
	}
	switch file.Schema {
	case verdict.Schema:
		var r verdict.Result
		if err := json.Unmarshal(data, &r); err != nil {
			return side, refuse(name, err.Error())
		}
		side.Cells = []Cell{{Boots: []verdict.Times{r.Times()}}}
	case verdict.SurveySchema:
		if file.Boot != nil {
			side.Cells = []Cell{{Boots: []verdict.Times{file.Boot.Times()}}}
		}
	case verdict.RepeatSchema:
		one := Cell{}
		for _, o := range file.Outcomes {
			one.Boots = append(one.Boots, o.Times...)
		}
		side.Cells = []Cell{one}
	case verdict.SmokeSchema:
		for _, c := range file.Cells {
			if c.Result != nil {
				side.Cells = append(side.Cells, Cell{Name: c.Name, Boots: []verdict.Times{c.Result.Times()}})
			}
		}
	default:
		return side, refuse(name, fmt.Sprintf("has the schema %.40q", file.Schema))
	}
	for _, c := range side.Cells {
		for _, t := range c.Boots {
			if len(verdict.Spans(t.Timeline)) > 0 {
				return side, nil
			}
		}
	}
	return side, refuse(name, "has no boot with a timeline")
}

func refuse(name, cause string) error {
	return blame.New(blame.Usage, "--compare "+name+": "+cause, "give what --json of kcatch boot, survey or smoke wrote; with --repeat N the noise is known better")
}

// Join makes one side of several: the boots of a cell come together.
func Join(name string, sides ...Side) Side {
	out := Side{Name: name}
	at := map[string]int{}
	for _, s := range sides {
		for _, c := range s.Cells {
			i, ok := at[c.Name]
			if !ok {
				i = len(out.Cells)
				at[c.Name] = i
				out.Cells = append(out.Cells, Cell{Name: c.Name})
			}
			out.Cells[i].Boots = append(out.Cells[i].Boots, c.Boots...)
		}
	}
	return out
}
