package deliver

// EachLeft calls f for every letter there is: those in the file, and those that
// a replay has taken out of it and not yet dealt with.
func (l *LetterFile) EachLeft(f func(*Letter) error) error {
	if err := l.Each(f); err != nil {
		return err
	}
	return (&LetterFile{path: l.path + ".replay"}).Each(f)
}
