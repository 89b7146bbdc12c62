package unwind

// Repeat is a run of frames in which the same calls come again and again, as endless recursion leaves them:
// frames[At : At+Period*Times], of which each Period frames have the same pcs.
type Repeat struct {
	At, Period, Times int
}

// End is the index of the first frame after the run.
func (r Repeat) End() int { return r.At + r.Period*r.Times }

// maxPeriod bounds how many functions a recursion may go through to be seen as one.
const maxPeriod = 8

// Repeats finds the runs in which at least times rounds are the same, outward, without overlap. Of several periods the
// shortest counts.
func Repeats(frames []Frame, times int) []Repeat {
	var out []Repeat
	for i := 0; i < len(frames); {
		r := repeatAt(frames, i, max(times, 2))
		if r.Times == 0 {
			i++
			continue
		}
		out = append(out, r)
		i = r.End()
	}
	return out
}

// repeatAt is the run that begins at frame i; its Times is zero when there is none.
func repeatAt(frames []Frame, i, times int) Repeat {
	for p := 1; p <= maxPeriod; p++ {
		same := 0
		for j := i; j+p < len(frames) && frames[j].PC == frames[j+p].PC && frames[j].Interrupted == frames[j+p].Interrupted; j++ {
			same++
		}
		if n := same/p + 1; n >= times {
			return Repeat{At: i, Period: p, Times: n}
		}
	}
	return Repeat{}
}
