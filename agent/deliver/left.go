package deliver

// EachPending calls f for every letter there is: those in the file, and those that
// a replay has taken out of it and not yet dealt with.
func (l *DeadLetterFile) EachPending(f func(*DeadLetter) error) error {
	if err := l.Each(f); err != nil {
		return err
	}
	return (&DeadLetterFile{path: l.path + ".replay"}).Each(f)
}
