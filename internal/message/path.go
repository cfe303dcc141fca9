package message

import "sipregd/internal/sipuri"

// Path is the Path header field of a request (RFC 3327): the proxies that the phone is
// reached by, the nearest to the registrar first.
type Path struct {
	Text string // its values with commas, as they were written; empty: none
	// Outbound says that the proxy next to the phone keeps flows: its URI, the last, has
	// the parameter ob (RFC 5626 §5.1).
	Outbound bool
	First    sipuri.URI // of the proxy that is the nearest

	values int
}

// parsePath reads one Path header field: path-value = name-addr *( SEMI rr-param ).
func parsePath(text string) (Path, error) {
	path := Path{Text: trimBlanks(text)}
	c := cursor{text: path.Text}
	for {
		uri, err := c.route()
		if err != nil {
			return Path{}, inField("Path", err)
		}
		_, path.Outbound = uri.Param("ob")
		if path.values == 0 {
			path.First = uri
		}
		if path.values++; c.done() {
			return path, nil
		}
		if path.values == MaxListValues || !c.eat(',') {
			return Path{}, malformed("Malformed Path")
		}
	}
}

// route takes a name-addr of a proxy with its parameters.
func (c *cursor) route() (sipuri.URI, error) {
	text, err := c.nameAddr()
	if err != nil {
		return sipuri.URI{}, err
	}
	uri, err := sipuri.Parse(text)
	if err != nil || !uri.IsSIP() {
		return sipuri.URI{}, malformed("Malformed URI")
	}
	p := params{}
	for p.next(c) { // they mean nothing here
	}
	c.blank()
	return uri, p.err
}

// takePath joins Path header fields.
func (r *Request) takePath(more Path) error {
	if r.Path.values > 0 {
		more.Text = r.Path.Text + ", " + more.Text
		more.values += r.Path.values
		more.First = r.Path.First
	}
	if len(more.Text) > MaxPath || more.values > MaxListValues {
		return malformed("Path Over 1024 Bytes Or 64 Values")
	}
	r.Path = more
	return nil
}

// CheckRoutes tells what is wrong with values for Service-Route (RFC 3608) or Route:
// URIs in brackets, with commas, each of a proxy that routes loosely.
func CheckRoutes(text string) error {
	c := cursor{text: text}
	for {
		c.blank()
		if !c.startsWith('<') {
			return malformed("No URI In Brackets")
		}
		uri, err := c.route()
		if err != nil {
			return err
		}
		if _, loose := uri.Param("lr"); !loose {
			return malformed("URI Without lr")
		}
		if c.done() {
			return nil
		}
		if !c.eat(',') {
			return malformed("No Comma Between URIs")
		}
	}
}
