package message

// What a message may hold. Each bound is checked before anything behind it is
// parsed, so that parsing costs time linear in what was received.
const (
	MaxMessage       = 65535 // bytes of a message on a stream; beyond: 513
	MaxHeaderSection = 16384 // bytes up to the empty line; beyond: 513
	MaxHeaderLine    = 8192  // bytes of a header field, folded lines together; beyond: 513
	MaxHeaderLines   = 128   // header fields; beyond: 400
	MaxListValues    = 64    // values of one kind in a request; beyond: 400
	MaxParams        = 64    // parameters of one value; beyond: 400
	MaxURI           = 1024  // bytes of a URI; beyond: 414 in the Request-URI, else 400
	MaxPath          = 1024  // bytes of all Path values together; beyond: 400
	MaxInstance      = 256   // bytes of an instance ID; beyond: 400
	MaxCallID        = 512   // bytes of a Call-ID, a tag or a branch; beyond: 400
)
