package machine

// FindQEMU is the path of an emulator by name or path; an empty name is the default's. The error is an infrastructure error with the
// package to install. It lets a caller refuse before the minutes of a build what [Start] would refuse after them.
func FindQEMU(name string) (string, error) {
	if name == "" {
		name = Spec{}.WithDefaults().QEMU
	}
	return findQEMU(name)
}
