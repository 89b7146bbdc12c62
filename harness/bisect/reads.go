package bisect

// Reads is the set of files that a build read, by their names relative to the kernel tree.
type Reads struct{ Files map[string]bool }
