package sipuri

// Request returns the URI, which was parsed from text, as it may stand as a
// Request-URI: without headers, and without a method parameter (RFC 3261 §19.1.1,
// table 1).
func (u URI) Request(text string) string {
	if u.Headers != "" {
		text = text[:len(text)-len("?")-len(u.Headers)]
	}
	if _, has := u.Param("method"); !has { // as a rule
		return text
	}
	kept := text[:len(text)-len(u.Params)]
	var room [usualPairs]pair
	unwanted := pair{name: "method", hash: foldedHash("method")}
	for _, p := range u.params(room[:0]) {
		if p.named(&unwanted) {
			continue
		}
		kept += ";" + p.name
		if p.value != "" {
			kept += "=" + p.value
		}
	}
	return kept
}
