package registrar

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
)

// allowed is what is done here, as Allow says it.
const allowed = "REGISTER, OPTIONS, CANCEL, ACK"

// Allowing has Allow tell of more methods, which others answer. It is to be called before
// any request is answered, and returns the registrar.
func (r *Registrar) Allowing(methods ...string) *Registrar {
	for _, method := range methods {
		if !slices.Contains(strings.Split(r.allowed, ", "), method) {
			r.allowed += ", " + method
		}
	}
	return r
}

// Answer returns the response to a request (RFC 3261 §8.2). ACK and CANCEL
// belong to the transaction layer and do not come here.
func (r *Registrar) Answer(request *message.Request, now time.Time) *message.Response {
	switch request.Method {
	case "REGISTER":
		return r.register(request, now)
	case "OPTIONS":
		return r.options(request)
	}
	// §8.2.1
	response := request.Respond(405, "Method Not Allowed").With("Allow", r.allowed)
	return r.refuse(request, response, journal.MethodNotAllowed, request.Method)
}

// Malformed returns the response to a request that could not be read.
func (r *Registrar) Malformed(request *message.Request, err *message.Error) *message.Response {
	return r.refuse(request, request.Respond(err.Status, err.Reason), journal.Malformed, err.Reason)
}

// Merged returns the response to a request that came a second time by another
// way (§8.2.2.2).
func (r *Registrar) Merged(request *message.Request) *message.Response {
	return r.refuse(request, request.Respond(482, "Loop Detected"), journal.LoopOrMerge, "")
}

// NotStored returns the response to a REGISTER that was granted and whose
// bindings were then found not to last (§10.3 step 7: all changes are undone).
func (r *Registrar) NotStored(request *message.Request) *message.Response {
	return r.refuse(request, r.notStored(request), journal.StoreFailed, "undone: "+location.ErrNotDurable.Error())
}

// notStored says when to try again. The disk is tried each second, Redis more often.
func (r *Registrar) notStored(request *message.Request) *message.Response {
	return request.Respond(503, "Service Unavailable").With("Retry-After", strconv.Itoa(r.retryAfter()))
}

// options answers a phone's or a monitor's ping, whichever host it names
// (§11.2). There are no dialogs here that one could belong to (§12.2.2).
func (r *Registrar) options(request *message.Request) *message.Response {
	switch {
	case request.To.Tag != "":
		return request.Respond(481, "Call/Transaction Does Not Exist")
	case !request.URI.IsSIP():
		return r.unsupportedScheme(request)
	case len(request.Require) > 0: // of what is done for REGISTER, nothing is for OPTIONS
		return r.unsupportedExtension(request, strings.Join(request.Require, ", "))
	}
	return request.Respond(200, "OK").
		With("Allow", r.allowed).
		With("Accept", ""). // no body is understood
		With("Supported", "path, outbound, gruu")
}

// unsupportedScheme ends a request for a URI that is no SIP URI (§8.2.2.1).
func (r *Registrar) unsupportedScheme(request *message.Request) *message.Response {
	return r.refuse(request, request.Respond(416, "Unsupported URI Scheme"),
		journal.SchemeNotSupported, request.URI.Scheme)
}

// unsupported returns the option tags that a REGISTER requires and that are not
// supported, with commas.
func unsupported(request *message.Request) string {
	var tags []string
	for _, tag := range request.Require {
		if message.ExtensionOf(tag) == 0 {
			tags = append(tags, tag)
		}
	}
	return strings.Join(tags, ", ")
}

// unsupportedExtension ends a request that requires what is not supported
// (§8.2.2.3).
func (r *Registrar) unsupportedExtension(request *message.Request, tags string) *message.Response {
	response := request.Respond(420, "Bad Extension").With("Unsupported", tags)
	return r.refuse(request, response, journal.ExtensionNotSupported, tags)
}

// refuse takes down a refusal and returns its response.
func (r *Registrar) refuse(request *message.Request, response *message.Response,
	reason journal.Reason, detail string) *message.Response {
	event := r.requestEvent(request)
	event.Kind, event.Reason, event.Status, event.Detail = journal.Refused, reason, response.Status, detail
	r.journal.Record(event)
	return response
}

// requestEvent holds what a request says of itself, before anything is proved.
func (r *Registrar) requestEvent(request *message.Request) journal.Event {
	event := journal.Event{
		Source:    request.Flow.Source,
		Transport: request.Flow.Transport,
		Forgeable: !request.Flow.Reliable(),
		CallID:    request.CallID,
		UserAgent: request.UserAgent,
	}
	if uri := own(request); uri.IsSIP() {
		event.AOR, _ = r.directory.Load().AOR(*uri)
	}
	return event
}
