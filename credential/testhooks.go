package credential

// QuickPasswords is NewPasswords for tests of everything that passwords are needed for. Their
// hashes take next to no memory and time, and so protect nothing.
func QuickPasswords(cores, waiting int) *Passwords {
	return newPasswords(cores, waiting, minArgonMemory*argonThreads)
}
