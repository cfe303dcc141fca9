package shared

// Check tells whether Open takes the URL: whether it is sound, and what it names can be
// read. It asks no server.
func Check(url string) error {
	_, err := parse(url)
	return err
}
