package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// description is openapi.json, which judges answers and takes down which there were.
type description struct {
	document *openapi3.T
	router   routers.Router
	seen     map[string]bool // "GET /path 200"
}

func describedBy(t *testing.T) *description {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return &description{document, router, map[string]bool{}}
}

// check fails where an answer is not as described. Of paths that are not described
// there has to be no answer.
func (d *description) check(t *testing.T, request *http.Request, response *http.Response) {
	t.Helper()
	status := response.StatusCode
	route, parameters, err := d.router.FindRoute(request)
	switch {
	case err != nil && status < 300:
		t.Errorf("%s %s is answered %d, and not described: %v", request.Method, request.URL, status, err)
		return
	case err != nil:
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if status < 300 {
		d.checkAccepted(t, input)
	}
	isStream := response.Header.Get("Content-Type") == "text/event-stream"
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: status, Header: response.Header, Body: response.Body,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: isStream},
	})
	if err != nil {
		t.Errorf("%s %s: %v", request.Method, request.URL, err)
	}
	d.seen[fmt.Sprintf("%s %s %d", route.Method, route.Path, status)] = true
}

// checkAccepted fails where a request was taken that is not as described.
func (d *description) checkAccepted(t *testing.T, input *openapi3filter.RequestValidationInput) {
	t.Helper()
	if body := input.Request.GetBody; body != nil {
		input.Request.Body, _ = body()
	}
	if err := openapi3filter.ValidateRequest(t.Context(), input); err != nil {
		t.Errorf("%s %s is taken: %v", input.Request.Method, input.Request.URL, err)
	}
	for name := range input.Request.URL.Query() {
		if input.Route.Operation.Parameters.GetByInAndName("query", name) == nil {
			t.Errorf("%s %s: %s is not described", input.Request.Method, input.Request.URL, name)
		}
	}
}

// checkData fails where the data of an event of a stream is not as described.
func (d *description) checkData(t *testing.T, schema, data string) {
	t.Helper()
	var value any
	err := json.Unmarshal([]byte(data), &value)
	if err == nil {
		err = d.document.Components.Schemas[schema].Value.VisitJSON(value)
	}
	if err != nil {
		t.Errorf("%s: %v", data, err)
	}
}

// operations returns what is described, as "GET /path".
func (d *description) operations() map[string]*openapi3.Operation {
	all := map[string]*openapi3.Operation{}
	for path, item := range d.document.Paths.Map() {
		for method, operation := range item.Operations() {
			all[method+" "+path] = operation
		}
	}
	return all
}

func TestAllIsDescribedThatIsServed(t *testing.T) {
	served := slices.Sorted(maps.Keys(New(Options{Metrics: http.NotFoundHandler()}).described()))
	described := slices.Sorted(maps.Keys(describedBy(t).operations()))
	if !slices.Equal(served, described) {
		t.Errorf("served %q\ndescribed %q", served, described)
	}
}

// answers are requests, in this order, and what they are answered.
var answers = []struct {
	request string
	body    string
	before  func(*lab)
	status  int
}{
	{"GET /api/v1/contacts", "", nil, 200},
	{"GET /api/v1/contacts?q=kitchen&limit=1", "", nil, 200},
	{"GET /api/v1/contacts?limit=0", "", nil, 400},
	{"GET /api/v1/contacts?after=2001", "", nil, 200},
	{"GET /api/v1/contacts?after=%25", "", nil, 400},
	{"GET /api/v1/contacts/2001", "", nil, 200},
	{"GET /api/v1/contacts/nobody", "", nil, 404},
	{"DELETE /api/v1/contacts/2001?contact=sip:2001@192.0.2.9", "", nil, 404},
	{"DELETE /api/v1/contacts/2001?contact=sip:2001@192.0.2.7", "", nil, 200},
	{"DELETE /api/v1/contacts/2001?contact=", "", nil, 400},
	{"DELETE /api/v1/contacts/2001?id=4711", "", nil, 404},
	{"DELETE /api/v1/contacts/2001?id=first", "", nil, 400},
	{"DELETE /api/v1/contacts/sip:2001@host%3Bgr=urn:nobody", "", nil, 404},
	{"DELETE /api/v1/contacts/nobody", "", nil, 404},
	{"DELETE /api/v1/contacts/2001", "", func(l *lab) { l.removeFails = errors.New("no space left") }, 503},
	{"GET /api/v1/contacts", "", func(l *lab) { l.stale = true }, 200},
	{"GET /api/v1/contacts/2001", "", nil, 200},
	{"GET /api/v1/contacts/nobody", "", nil, 503},
	{"DELETE /api/v1/contacts/nobody", "", nil, 503},
	{"GET /api/v1/why?q=2001", "", nil, 200},
	{"GET /api/v1/peers", "", nil, 200},
	{"GET /api/v1/peers/workshop", "", nil, 200},
	{"GET /api/v1/peers", "", func(l *lab) { l.stale = false }, 200},
	{"GET /api/v1/peers?q=workshop&limit=1&after=0", "", nil, 200},
	{"GET /api/v1/peers?limit=many", "", nil, 400},
	{"GET /api/v1/peers?after=-1", "", nil, 400},
	{"GET /api/v1/peers/kitchen,%201st%20floor", "", nil, 200},
	{"GET /api/v1/peers/Hall%2F100%25%20%3Cb%3E", "", nil, 200},
	{"GET /api/v1/peers/Cellar", "", nil, 404},
	{"GET /api/v1/events?kinds=refused,bogus", "", nil, 400},
	{"GET /api/v1/events?after=now", "", nil, 400},
	{"GET /api/v1/events", "", occupyWatchers, 503},
	{"GET /api/v1/why", "", nil, 200},
	{"GET /api/v1/why?q=2001&limit=10", "", nil, 200},
	{"GET /api/v1/why?q=nobody", "", nil, 200},
	{"GET /api/v1/why?limit=-1", "", nil, 400},
	{"GET /api/v1/stats", "", nil, 200},
	{"POST /api/v1/bans", `{"network": "192.0.2.0/24", "seconds": 60}`, nil, 200},
	{"POST /api/v1/bans", `{"network": "2001:db8::7"}`, nil, 200},
	{"POST /api/v1/bans", `{"network": "everybody"}`, nil, 400},
	{"POST /api/v1/bans", `{"network": "0.0.0.0/0"}`, nil, 409},
	{"GET /api/v1/bans", "", nil, 200},
	{"DELETE /api/v1/bans?network=2001:db8::7", "", nil, 204},
	{"DELETE /api/v1/bans?network=2001:db8::7", "", nil, 404},
	{"DELETE /api/v1/bans", "", nil, 400},
	{"POST /api/v1/check", "", func(l *lab) { l.writePeers(labPeers + "[Cellar]\nauthname = c\nsecret = c\naorname = 2003\n") }, 200},
	{"POST /api/v1/reload", "", nil, 200},
	{"POST /api/v1/check", "", func(l *lab) { l.writePeers("[Cellar\n") }, 422},
	{"POST /api/v1/reload", "", nil, 422},
	{"GET /api/v1/openapi.json", "", nil, 200},
	{"GET /healthz", "", nil, 200},
	{"GET /readyz", "", nil, 200},
	{"GET /readyz", "", func(l *lab) { l.notReady = errors.New("the disk fails") }, 503},
	{"GET /metrics", "", nil, 200},
	{"GET /api/v1/nothing", "", nil, 404},
	{"PUT /api/v1/contacts", "", nil, 404},
}

func occupyWatchers(l *lab) {
	for range maxWatchers {
		l.watchers <- struct{}{}
	}
	l.Cleanup(func() {
		for range maxWatchers {
			<-l.watchers
		}
	})
}

// fillLab registers a phone, and has others fail.
func fillLab(l *lab) {
	whole := location.Binding{
		Contact: "sip:2001@192.0.2.7", Params: ";+sip.instance=\"<urn:x>\"", Q: "0.5", CallID: "call", CSeq: 1 << 31, Authname: "7f3a9c",
		Label: "Kitchen, 1st floor", UserAgent: "phone\xff", Transport: "UDP",
	}
	l.bind(sipuri.AOR{User: "2001"}, whole)
	l.bind(sipuri.AOR{User: "2001"}, location.Binding{Contact: "sip:2001@192.0.2.8;pn-provider=fcm;pn-param=app;pn-prid=token"})
	l.bind(sipuri.AOR{User: "2002"}, location.Binding{Contact: "sip:2002@192.0.2.8", Node: "sip1"})
	for _, reason := range journal.Reasons() {
		l.Recorder.Record(journal.Event{Kind: journal.Refused, Reason: reason})
		l.Recorder.Record(wholeEvent(reason))
	}
	for _, kind := range journal.Kinds() {
		l.Recorder.Record(journal.Event{Kind: kind, AOR: sipuri.AOR{User: "2001"}})
	}
}

func wholeEvent(reason journal.Reason) journal.Event {
	return journal.Event{
		Kind: journal.Refused, Reason: reason, Source: netip.MustParseAddrPort("192.0.2.7:5060"), Transport: "UDP",
		Authname: "7f3a9c", Label: "Kitchen, 1st floor", AOR: sipuri.AOR{User: "2001"}, Contact: "sip:2001@192.0.2.7", Expires: 60,
		UserAgent: "phone\xff", CallID: "call", Status: 403, Detail: "detail",
	}
}

// Each answer that is described is given, and each that is given is described.
func TestAnswersAreAsDescribed(t *testing.T) {
	l := newLab(t)
	fillLab(l)
	l.watch("").Close()
	for _, test := range answers {
		if test.before != nil {
			test.before(l)
		}
		method, path, _ := strings.Cut(test.request, " ")
		if status, answer := l.ask(method, path, test.body); status != test.status {
			t.Errorf("%s: %d %s", test.request, status, answer)
		}
	}
	locked := newLab(t, withToken("0123456789abcdef"))
	for name, operation := range l.description.operations() {
		if operation.Security == nil {
			l.expectRefusals(name, locked)
		}
		for status := range operation.Responses.Map() {
			if !l.description.seen[name+" "+status] && !locked.description.seen[name+" "+status] {
				t.Errorf("%s was never answered %s", name, status)
			}
		}
	}
}

// expectRefusals has an operation refused: by another host, without a token.
func (l *lab) expectRefusals(name string, locked *lab) {
	l.Helper()
	method, path, _ := strings.Cut(name, " ")
	request := l.request(method, path, "")
	request.Host = "attacker.example.com"
	if status, _ := l.send(l.http, request); status != http.StatusForbidden {
		l.Errorf("%s of another host: %d", name, status)
	}
	if status, _ := locked.ask(method, path, ""); status != http.StatusUnauthorized {
		l.Errorf("%s without the token: %d", name, status)
	}
}

// A schema says of each field of its type whether it is always there.
func TestSchemasAreThoseOfTheTypes(t *testing.T) {
	schemas := describedBy(t).document.Components.Schemas
	types := []any{
		api.Error{}, api.Contact{}, api.Push{}, api.Contacts{}, api.Removed{}, api.Peer{}, api.Peers{}, api.Event{}, api.Missed{}, api.Attempt{},
		api.Why{}, api.Stats{}, api.Store{}, api.Webhook{}, api.Reload{}, api.Ban{}, api.Bans{}, api.NewBan{},
	}
	if len(schemas) != len(types) {
		t.Errorf("%d schemas of %d types", len(schemas), len(types))
	}
	for _, value := range types {
		of := reflect.TypeOf(value)
		schema := schemas[of.Name()].Value
		fields, always := fieldsOf(of)
		if got := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, slices.Sorted(slices.Values(fields))) {
			t.Errorf("%s has %q, described are %q", of.Name(), fields, got)
		}
		if got := slices.Sorted(slices.Values(schema.Required)); !slices.Equal(got, slices.Sorted(slices.Values(always))) {
			t.Errorf("%s always has %q, described are %q", of.Name(), always, got)
		}
	}
}

// fieldsOf returns the names of a type's fields, and of those that are always there.
func fieldsOf(of reflect.Type) (all, always []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			moreAll, moreAlways := fieldsOf(field.Type)
			all, always = append(all, moreAll...), append(always, moreAlways...)
		case options == "":
			all, always = append(all, name), append(always, name)
		default:
			all = append(all, name)
		}
	}
	return all, always
}

func TestNamesAreThoseOfTheJournal(t *testing.T) {
	schemas := describedBy(t).document.Components.Schemas
	for _, schema := range []string{"Event", "Attempt"} {
		for property, names := range map[string][]string{"event": texts(journal.Kinds()), "reason": texts(journal.Reasons())} {
			var described []string
			for _, name := range schemas[schema].Value.Properties[property].Value.Enum {
				described = append(described, name.(string))
			}
			if !slices.Equal(described, names) {
				t.Errorf("%s of %s is %q, described are %q", property, schema, names, described)
			}
		}
	}
}

// What is served is what is embedded.
func TestTheDescriptionIsServed(t *testing.T) {
	_, served := newLab(t).ask(http.MethodGet, "/api/v1/openapi.json", "")
	var plain bytes.Buffer
	if err := json.Compact(&plain, openAPI); err != nil {
		t.Fatal(err)
	}
	var got, want any
	_ = json.Unmarshal([]byte(served), &got)
	_ = json.Unmarshal(plain.Bytes(), &want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("served: %.200s", served)
	}
}
