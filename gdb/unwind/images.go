package unwind

// Images are several images as one: a kernel and its modules. The first that has an address describes it.
type Images []Image

// IsText implements [Image].
func (s Images) IsText(addr uint64) bool { return s.of(addr) != nil }

// Row implements [Image].
func (s Images) Row(pc PC) (Row, FoundBy, error) {
	if i := s.of(pc.Lookup()); i != nil {
		return i.Row(pc)
	}
	return Row{}, "", ErrNoRow
}

// AfterCall implements [CallSites]; an image that has none of its own is believed.
func (s Images) AfterCall(ret uint64) bool {
	i := s.of(ret - 1)
	if i == nil {
		return false
	}
	after, ok := i.(CallSites)
	return !ok || after.AfterCall(ret)
}

func (s Images) of(addr uint64) Image {
	for _, i := range s {
		if i.IsText(addr) {
			return i
		}
	}
	return nil
}
