package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"roster/bench/hostile"
	"roster/changes"
	"roster/graph/admission"
	"roster/graph/graphtest"
	"roster/graph/transport"
)

const (
	nativeType = "application/graphql-response+json; charset=utf-8"
	legacyType = "application/json; charset=utf-8"
)

func TestHTTP(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	post := func(query string) string { return `{"query":` + graphtest.Quote(query) + `}` }
	get := func(query string) string { return "/graphql?query=" + url.QueryEscape(query) }
	for _, c := range []struct {
		name   string
		method string // POST if empty
		target string // /graphql if empty
		header string // lines
		body   string
		status int
		code   string // of the first error
		answer string // the Content-Type, the native one if empty
	}{
		{name: "a query", body: post("{__typename}"), status: 200},
		{name: "charset", header: "Content-Type: application/json; charset=UTF-8", body: post("{__typename}"), status: 200},
		{name: "another charset", header: "Content-Type: application/json; charset=utf-16", body: post("{__typename}"), status: 415, code: "INVALID"},
		{name: "no content type", header: "Content-Type:", body: post("{__typename}"), status: 415, code: "INVALID"},
		{name: "text", header: "Content-Type: text/plain", body: post("{__typename}"), status: 415, code: "INVALID"},
		{name: "a form", header: "Content-Type: application/x-www-form-urlencoded", body: "query={__typename}", status: 415, code: "INVALID"},
		{name: "multipart", header: "Content-Type: multipart/form-data; boundary=x", body: "--x--", status: 400, code: "INVALID"},
		{name: "application/graphql", header: "Content-Type: application/graphql", body: "{__typename}", status: 415, code: "INVALID"},
		{name: "gzip", header: "Content-Encoding: gzip", body: post("{__typename}"), status: 415, code: "INVALID"},

		{name: "PUT", method: "PUT", body: post("{__typename}"), status: 405, code: "INVALID"},
		{name: "DELETE", method: "DELETE", status: 405, code: "INVALID"},
		{name: "OPTIONS", method: "OPTIONS", status: 405, code: "INVALID"},
		{name: "GET", method: "GET", target: get("{__typename}"), header: "X-GraphQL-Preflight: 1", status: 200},
		{name: "GET by Apollo", method: "GET", target: get("{__typename}"), header: "Apollo-Require-Preflight: 1", status: 200},
		{name: "GET by Apollo's name", method: "GET", target: get("{__typename}"), header: "X-Apollo-Operation-Name: a", status: 200},
		{name: "HEAD", method: "HEAD", target: get("{__typename}"), header: "X-GraphQL-Preflight: 1", status: 200},
		{name: "GET that may be forged", method: "GET", target: get("{__typename}"), status: 400, code: "INVALID"},
		{name: "GET of a mutation", method: "GET", target: get(`mutation{deleteUser(input:{user:{email:"a@b.example"}}){deletedIds}}`), header: "X-GraphQL-Preflight: 1", status: 405, code: "INVALID"},
		{name: "GET of nothing", method: "GET", header: "X-GraphQL-Preflight: 1", status: 400, code: "INVALID"},
		{name: "GET of two", method: "GET", target: get("{__typename}") + "&query=x", header: "X-GraphQL-Preflight: 1", status: 400, code: "INVALID"},
		{name: "GET with variables", method: "GET", target: get("query($a:Boolean!){__typename@skip(if:$a)}") + "&variables=" + url.QueryEscape(`{"a":false}`), header: "X-GraphQL-Preflight: 1", status: 200},
		{name: "GET with a list of variables", method: "GET", target: get("{__typename}") + "&variables=[]", header: "X-GraphQL-Preflight: 1", status: 400, code: "INVALID"},
		{name: "GET with no address", method: "GET", target: "/graphql?query=%zz", header: "X-GraphQL-Preflight: 1", status: 400, code: "INVALID"},

		{name: "accept the native type", header: "Accept: application/graphql-response+json", body: post("{__typename}"), status: 200},
		{name: "accept the legacy type", header: "Accept: application/json", body: post("{__typename}"), status: 200, answer: legacyType},
		{name: "accept anything", header: "Accept: */*", body: post("{__typename}"), status: 200},
		{name: "accept any application", header: "Accept: application/*", body: post("{__typename}"), status: 200},
		{name: "accept both", header: "Accept: application/json, application/graphql-response+json", body: post("{__typename}"), status: 200},
		{name: "accept one rather", header: "Accept: application/json, application/graphql-response+json;q=0.9", body: post("{__typename}"), status: 200, answer: legacyType},
		{name: "accept one rather, in two headers", header: "Accept: application/graphql-response+json;q=0.9\nAccept: application/json", body: post("{__typename}"), status: 200, answer: legacyType},
		{name: "accept all but one", header: "Accept: */*, application/graphql-response+json;q=0", body: post("{__typename}"), status: 200, answer: legacyType},
		{name: "as Apollo does", header: "Accept: application/graphql-response+json,application/json;q=0.9", body: post("{__typename}"), status: 200},
		{name: "as a browser does", header: "Accept: text/html,application/xhtml+xml,*/*;q=0.8", body: post("{__typename}"), status: 200},
		{name: "accept pages", header: "Accept: text/html", body: post("{__typename}"), status: 406, code: "INVALID"},
		{name: "accept with a weight that is none", header: "Accept: application/graphql-response+json;q=0x1p-1, application/json;q=0.001", body: post("{__typename}"), status: 200, answer: legacyType},
		{name: "accept nothing", header: "Accept: */*;q=0", body: post("{__typename}"), status: 406, code: "INVALID"},
		{name: "accept another charset", header: "Accept: application/json;charset=latin1", body: post("{__typename}"), status: 406, code: "INVALID"},
		{name: "accept nonsense", header: "Accept: ;;;", body: post("{__typename}"), status: 406, code: "INVALID"},

		{name: "no JSON", body: "{", status: 400, code: "INVALID"},
		{name: "no JSON, legacy", header: "Accept: application/json", body: "{", status: 400, code: "INVALID", answer: legacyType},
		{name: "nothing", body: "", status: 400, code: "INVALID"},
		{name: "a batch", body: "[" + post("{__typename}") + "]", status: 400, code: "INVALID"},
		{name: "a text", body: `"{__typename}"`, status: 400, code: "INVALID"},
		{name: "null", body: `null`, status: 400, code: "INVALID"},
		{name: "two values", body: post("{__typename}") + "{}", status: 400, code: "INVALID"},
		{name: "no query", body: `{"qeury":"{__typename}"}`, status: 400, code: "INVALID"},
		{name: "a query that is a number", body: `{"query":7}`, status: 400, code: "INVALID"},
		{name: "another case", body: `{"Query":"{__typename}"}`, status: 400, code: "INVALID"},
		{name: "two queries", body: `{"query":"{__typename}","query":"{viewer{__typename}}"}`, status: 400, code: "INVALID"},
		{name: "a variable twice", body: `{"query":"{__typename}","variables":{"a":1,"a":2}}`, status: 400, code: "INVALID"},
		{name: "what is not known", body: `{"query":"{__typename}","id":"x"}`, status: 200},
		{name: "nulls", body: `{"query":"{__typename}","variables":null,"operationName":null,"extensions":null}`, status: 200},
		{name: "a list of variables", body: `{"query":"{__typename}","variables":[7]}`, status: 400, code: "INVALID"},
		{name: "variables as text", body: `{"query":"{__typename}","variables":"{}"}`, status: 400, code: "INVALID"},
		{name: "extensions as text", body: `{"query":"{__typename}","extensions":"{}"}`, status: 400, code: "INVALID"},
		{name: "a name that is a number", body: `{"query":"{__typename}","operationName":7}`, status: 400, code: "INVALID"},
		{name: "half a surrogate", body: `{"query":"{__typename}","variables":{"a":"\ud800"}}`, status: 400, code: "INVALID"},
		{name: "no UTF-8", body: "{\"query\":\"{__typename}\xff\"}", status: 400, code: "INVALID"},
		{name: "deep JSON", body: `{"query":"{__typename}","variables":{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}}`, status: 400, code: "INVALID"},
		{name: "much JSON", body: `{"query":"{__typename}","variables":{"a":[` + strings.Repeat("1,", 40_000) + `1]}}`, status: 400, code: "INVALID"},
		{name: "too much", body: post("{__typename #" + strings.Repeat("x", 5<<20) + "\n}"), status: 413, code: "LIMITED"},

		{name: "no GraphQL", body: post("{"), status: 400, code: "INVALID"},
		{name: "no GraphQL, legacy", header: "Accept: application/json", body: post("{"), status: 200, code: "INVALID", answer: legacyType},
		{name: "no such field", body: post("{nothing}"), status: 422, code: "INVALID"},
		{name: "no such field, legacy", header: "Accept: application/json", body: post("{nothing}"), status: 200, code: "INVALID", answer: legacyType},
		{name: "no such operation", body: `{"query":"query a{__typename}","operationName":"b"}`, status: 422, code: "INVALID"},
		{name: "which operation", body: post("query a{__typename} query b{__typename}"), status: 422, code: "INVALID"},
		{name: "this operation", body: `{"query":"query a{__typename} query b{__typename}","operationName":"b"}`, status: 200},
		{name: "no operation", body: post("fragment f on Query{__typename}"), status: 422, code: "INVALID"},
		{name: "a subscription", body: post("subscription{changes}"), status: 422, code: "INVALID"},
		{name: "no variable", body: post("query($a:Boolean!){__typename@skip(if:$a)}"), status: 422, code: "INVALID"},
		{name: "in parts", body: post("{...@defer{__typename}}"), status: 422, code: "INVALID"},
		{name: "in parts, by name", body: post("{...f@defer(if:true)} fragment f on Query{__typename}"), status: 422, code: "INVALID"},
		{name: "33 bits", body: post("{users(first:2147483648){totalCount}}"), status: 422, code: "INVALID"},
		{name: "33 bits, by default", body: post("query($a:Int=-2147483649){users(first:$a){totalCount}}"), status: 422, code: "INVALID"},
		{name: "33 bits, by a variable", body: `{"query":"query($a:Int){users(first:$a){totalCount}}","variables":{"a":2147483648}}`, status: 422, code: "INVALID"},
		{name: "NUL by a variable", body: `{"query":"query($a:String!){user(by:{email:$a}){id}}","variables":{"a":"\u0000"}}`, status: 422, code: "INVALID"},
		{name: "an id that is none, by a variable", body: `{"query":"query($a:ID!){node(id:$a){id}}","variables":{"a":7.5}}`, status: 422, code: "INVALID"},
		{name: "no boolean, by a variable", body: `{"query":"query($a:Boolean){node(id:\"x\"){id @include(if:$a)}}","variables":{"a":"x"}}`, status: 422, code: "INVALID"},
		{name: "an instant that is none, by a variable", body: `{"query":"query($a:DateTime){users(filter:{createdAfter:$a}){totalCount}}","variables":{"a":"today"}}`, status: 422, code: "INVALID"},
		{name: "too many fields", body: post("{" + strings.Repeat("__typename ", 6000) + "}"), status: 422, code: "LIMITED"},
		{name: "too costly", body: post("{users(first:100){nodes{memberships(first:100){nodes{user{memberships(first:100){nodes{id}}}}}}}}"), status: 422, code: "LIMITED"},

		{name: "no key", header: "Authorization: Bearer rk_nothing", body: post("{__typename}"), status: 401, code: "UNAUTHENTICATED"},
		{name: "a password", header: "Authorization: Basic YTpi", body: post("{__typename}"), status: 401, code: "UNAUTHENTICATED"},
		{name: "a revision that is none", header: "Roster-At-Least: soon", body: post("{__typename}"), status: 400, code: "INVALID"},
		{name: "two retry keys", header: "Idempotency-Key: a\nIdempotency-Key: b", body: post("mutation{createPermission(input:{key:\"a\"}){permission{id}}}"), status: 400, code: "INVALID"},
		{name: "two keys", header: "Authorization: Bearer rk_nothing\nAuthorization: Bearer rk_other", body: post("{__typename}"), status: 400, code: "INVALID"},
		{name: "nobody asks", body: post("{users{totalCount}}"), status: 200, code: "UNAUTHENTICATED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := graphtest.Headers("")
			for line := range strings.Lines(c.header) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
				if strings.TrimSpace(value) == "" {
					header.Del(name)
					continue
				}
				if name == "Content-Type" {
					header.Del(name)
				}
				header.Add(name, strings.TrimSpace(value))
			}
			a := b.Send(t, or(c.method, "POST"), or(c.target, "/graphql"), header, []byte(c.body))
			code, _, _ := strings.Cut(a.Codes(), " ")
			if a.Status != c.status || code != c.code || a.Header.Get("Content-Type") != or(c.answer, nativeType) {
				t.Errorf("%d %s %s, want %d %s %s: %.300s", a.Status, code, a.Header.Get("Content-Type"), c.status, c.code, or(c.answer, nativeType), a.Body)
			}
			checkAnswer(t, a)
		})
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// checkAnswer holds what is true of every answer.
func checkAnswer(t *testing.T, a *graphtest.Answer) {
	t.Helper()
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header: %v", a.Header)
	}
	if (a.Status == 405) != (a.Header.Get("Allow") != "") || (a.Status == 401) != (a.Header.Get("WWW-Authenticate") != "") {
		t.Errorf("%d with header %v", a.Status, a.Header)
	}
	if (a.Status == 429 || a.Status == 503) != (a.Header.Get("Retry-After") != "") {
		t.Errorf("%d with Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
	if a.Status != http.StatusOK && bytes.Contains(a.Body, []byte(`"data"`)) {
		t.Errorf("a refused request has data: %.300s", a.Body)
	}
	if len(a.Body) > 64<<10 || len(a.Errors) > 20 {
		t.Errorf("%d bytes, %d errors", len(a.Body), len(a.Errors))
	}
	if !bytes.Contains(a.Body, []byte(`"extensions":{"revision":"`)) {
		t.Errorf("no revision: %.300s", a.Body)
	}
	for _, e := range a.Errors {
		code, _ := e.Extensions["code"].(string)
		if e.Message == "" || code == "" || e.Extensions["requestId"] != graphtest.RequestID {
			t.Errorf("error %+v", e)
		}
		for _, word := range []string{"json:", "sql", "runtime", "interface {}", "map[", "nil", "reflect", "pq:", "pgx"} {
			if strings.Contains(e.Message, word) {
				t.Errorf("%q in %s", word, e.Message)
			}
		}
		if code == "LIMITED" && a.Status == 422 && (e.Extensions["requested"] == nil || e.Extensions["limit"] == nil) {
			t.Errorf("LIMITED without the numbers: %+v", e)
		}
	}
}

// Nothing of what was sent comes back, wherever it was.
func TestNothingIsEchoed(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	const canary = "s3cr3t-canary"
	for _, body := range []string{
		`{"query":"{__typename}` + canary, canary, `{"` + canary + `":1}`, `{"query":"` + canary + `"}`, `{"query":"{__typename}","variables":"` + canary + `"}`,
		`{"query":"{__typename}","variables":{"a":"` + canary + `","a":1}}`, `{"query":"{node(id:\"` + canary + `)}"}`,
		`{"query":"query($a:Int!){users(first:$a){totalCount}}","variables":{"a":"` + canary + `"}}`,
		`{"query":"query($a:Int!){users(first:$a){totalCount}}","variables":{"a":{"` + canary + `":1}}}`,
		`{"query":"query($a:UserOrderField!){users(orderBy:{field:$a}){totalCount}}","variables":{"a":"` + canary + `"}}`,
		`{"query":"query($a:UserOrderField!){users(orderBy:{field:$a}){totalCount}}","variables":{"a":["` + canary + `"]}}`,
		`{"query":"query($a:UserRef!){user(by:$a){id}}","variables":{"a":{"` + canary + `":1}}}`,
		`{"query":"query($a:UserRef!){user(by:$a){id}}","variables":{"a":"` + canary + `"}}`,
		`{"query":"query($a:UserRef!){user(by:$a){id}}","variables":{"a":{"id":["` + canary + `"]}}}`,
		`{"query":"query($a:UserRef!){user(by:$a){id}}","variables":{"a":{"id":"` + canary + `","email":"` + canary + `"}}}`,
		`{"query":"query($a:ChangeFilter!){changes(filter:$a){totalCount}}","variables":{"a":{"after":"` + canary + `"}}}`,
		`{"query":"query($a:Boolean!){__typename@skip(if:$a)}","variables":{"a":"` + canary + `"}}`,
		`{"query":"{users(after:\"` + canary + `\"){totalCount nodes{id}}}"}`, `{"query":"{user(by:{id:\"` + canary + `\"}){id}}"}`,
		`{"query":"{__typename}","operationName":"` + canary + `"}`,
	} {
		t.Run(body, func(t *testing.T) {
			a := b.Send(t, "POST", "/graphql", graphtest.Headers(b.Key), []byte(body))
			if bytes.Contains(a.Body, []byte(canary)) || len(a.Errors) == 0 && !strings.Contains(body, "user(by") {
				t.Errorf("%s\nanswers %d %s", body, a.Status, a.Body)
			}
			checkAnswer(t, a)
		})
	}
}

func TestCostIsReported(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	type account struct {
		Requested, Limit, Remaining int
		ResetAt                     string
	}
	cost := func(a *graphtest.Answer) account {
		var body struct{ Extensions struct{ Cost account } }
		graphtest.Must(t, json.Unmarshal(a.Body, &body))
		return body.Extensions.Cost
	}
	first := cost(b.Ask(t, `{ users(first: 100) { nodes { id memberships { nodes { id } } } } }`))
	if first.Requested != 271+100*(1+21+20) || first.Remaining <= 0 || first.Remaining >= first.Limit || len(first.ResetAt) < 20 {
		t.Errorf("%+v", first)
	}
	refused := cost(b.As(t, b.Key, "{nothing}", nil))
	if refused.Requested != len(`{"query":"{nothing}","variables":null}`) || refused.Limit != first.Limit {
		t.Errorf("a refused document: %+v", refused)
	}
	padded := cost(b.Send(t, "POST", "/graphql", graphtest.Headers(b.Key), []byte(`{"query":"{__typename}","padding":"`+strings.Repeat("x", 64_000)+`"}`)))
	if padded.Requested != 1000 {
		t.Errorf("64 kB for nothing: %+v", padded)
	}
	// 1,500 at once: enough for one of two. The other leaves a debt of 1,500.
	poor := b.WithOptions(t, transport.Options{CostPerSecond: 150})
	costly := `{"query":"{users{totalCount} a:users{totalCount} b:users{totalCount} c:users{totalCount} d:users{totalCount}}","padding":"` + strings.Repeat("x", 5000) + `"}`
	for i, want := range []int{200, 429, 429} {
		a := poor.Send(t, "POST", "/graphql", graphtest.Headers(b.Key), []byte(costly))
		wait, _ := strconv.Atoi(a.Header.Get("Retry-After"))
		if c := cost(a); a.Status != want || want == 429 && (c.Remaining != 0 || wait < []int{0, 19, 1}[i]) {
			t.Errorf("request %d: %d, to wait %d s: %+v", i, a.Status, wait, c)
		}
		checkAnswer(t, a)
	}
	if a := cost(b.As(t, "", "{__typename}", nil)); a.Limit == 0 || a.Limit >= first.Limit {
		t.Errorf("without a key: %+v", a)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	long := strings.Repeat("x", 120)
	deep := fmt.Sprintf(`{%[1]s:user(by:{email:"%[2]s"}){id}}`, long, strings.Repeat("é", 50_000))
	checkAnswer(t, b.As(t, b.Key, deep, nil))
	inputs := make([]object, 1000)
	for i := range inputs {
		inputs[i] = object{"user": object{"id": strings.Repeat("x", 1000)}, "organization": object{"code": "?"}, "permission": ""}
	}
	checkAnswer(t, b.As(t, b.Key, `query($input:[CheckInput!]!){checks(input:$input)}`, object{"input": inputs}))
	checkAnswer(t, b.As(t, b.Key, `query($input:[CheckInput!]!){checks(input:$input)}`, object{"input": []object{{strings.Repeat("x", 100_000): 1}}}))
	checkAnswer(t, b.As(t, b.Key, graphtest.Document("query", 0, 100, func(int) string { return "users(first:1000){totalCount}" }), nil))
	checkAnswer(t, b.As(t, b.Key, graphtest.Document("mutation", 0, 100, func(int) string { return `createUser(input:{email:"` + long + `"}){user{id}}` }), nil))
}

// However often an answer repeats a long text, it costs what its bytes do, and ends at what the
// most expensive operation may answer. A mutation whose answer would be longer is not done.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	users := make([]object, 20)
	for i := range users {
		users[i] = object{"username": fmt.Sprintf("user-%d", i), "givenName": strings.Repeat("é", 200)}
	}
	const create = `mutation($input: CreateUsersInput!) { createUsers(input: $input) { users { `
	b.Ask(t, create+`id } } }`, object{"input": object{"users": users}})
	names := graphtest.Document("", 0, 200, func(int) string { return "givenName" })
	for _, query := range []string{"{ users { nodes " + names + " } }", "{ users { nodes { id } } }"} {
		a := b.Ask(t, query)
		if cost := a.Extensions.Cost.Requested; cost < (len(a.Body)-1000)/64 {
			t.Errorf("%d bytes cost %d", len(a.Body), cost)
		}
	}
	limits := admission.DefaultLimits
	limits.Cost = 15_000
	strict := b.WithOptions(t, transport.Options{Limits: &limits})
	for i := range users {
		users[i]["username"] = fmt.Sprintf("other-%d", i)
	}
	for query, variables := range map[string]object{"{ users { nodes " + names + " } }": nil, create + names[len(" {"):] + " } }": {"input": object{"users": users}}} {
		a := strict.As(t, b.Key, query, variables)
		if a.Codes() != "LIMITED" || len(a.Body) > 2000 {
			t.Errorf("%.100s is answered by %d bytes, %.300s", query, len(a.Body), a.Body)
		}
	}
	if a := b.Ask(t, "{ users { totalCount } }"); a.At("users.totalCount") != 20.0 {
		t.Errorf("%s", a.Body)
	}
}

// A body that is too large is refused before it is read where its length is told,
// and no further than to the limit where it is not; without a key, nothing is read
// once the budget is spent.
func TestTooLargeBodiesAreNotReadOn(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	const limit = 4 << 20
	send := func(body *endless, length int64) (status int) {
		r := httptest.NewRequestWithContext(changes.WithRequestID(t.Context(), graphtest.RequestID), "POST", "/graphql", body)
		r.ContentLength, r.Header = length, graphtest.Headers("")
		r.RemoteAddr = "192.0.2.7:1"
		w := httptest.NewRecorder()
		b.Handler.ServeHTTP(w, r)
		a := &graphtest.Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
		graphtest.Must(t, json.Unmarshal(a.Body, a))
		checkAnswer(t, a)
		return w.Code
	}
	for _, c := range []struct {
		length int64
		status int
		most   int
	}{{limit + 1, 413, 0}, {1 << 40, 413, 0}, {-1, 413, limit + 1}, {-1, 429, 0}, {100, 429, 0}} {
		body := &endless{}
		if status := send(body, c.length); status != c.status || body.read > c.most {
			t.Errorf("%d bytes: %d after reading %d, want %d after %d at most", c.length, status, body.read, c.status, c.most)
		}
	}
}

// endless is a body of spaces, which counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"query":"{__typename}"}`, `{"query":"query($a:UserRef!){user(by:$a){id}}","variables":{"a":{"id":"x"}}}`, `[]`, `{`, `{"query":"\ud800"}`,
		`{"query":"{__typename}","variables":{"a":[1,2.5e3,true,null,{"b":[]}]},"operationName":"a","extensions":{}}`, `{"a":1,"a":2}`, "\xff",
	} {
		f.Add([]byte(body))
	}
	for _, request := range hostile.Requests() {
		if len(request.Body) < 2000 {
			f.Add(request.Body)
		}
	}
	b := graphtest.New(f)
	f.Fuzz(func(t *testing.T, body []byte) { fuzzed(t, b, "POST", "/graphql", graphtest.Headers(b.Key), body) })
}

func FuzzAccept(f *testing.F) {
	for _, accept := range []string{
		"", "*/*", "application/json", "application/graphql-response+json;q=0.5, application/json;q=1.0", "text/html", "a/b;q=x", "*/*;q=0", ",,,", "application/json; charset=\"utf-8\"",
		"application/json;q=0.0001", "application/graphql-response+json;q=1.0;ext=\"a,b\", */*;q=0.1", strings.Repeat("a/b;q=0.1,", 500), "application/json; charset=utf-16", "\xff/\x00",
	} {
		f.Add(accept)
	}
	b := graphtest.New(f)
	f.Fuzz(func(t *testing.T, accept string) {
		header := graphtest.Headers("")
		header["Accept"] = []string{accept}
		fuzzed(t, b, "POST", "/graphql", header, []byte(`{"query":"{__typename}"}`))
	})
}

func FuzzAddress(f *testing.F) {
	f.Add("query={__typename}")
	f.Add("query=%7B__typename%7D&variables=%7B%7D&operationName=a&extensions=null")
	f.Add("query=%zz&variables=[")
	f.Add("query=query($a:[ID!]!){nodes(ids:$a){id}}&variables={\"a\":[\"user_01h455vb4pex5vsknk084sn02q\"]}&query=")
	f.Add("documentId=sha256:" + strings.Repeat("0", 64) + "&extensions={\"persistedQuery\":{\"version\":1,\"sha256Hash\":7}}")
	f.Add("query=mutation{__typename};variables=&operationName=%00%ff")
	b := graphtest.New(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/graphql", nil)
		r.URL.RawQuery = query
		r.Header.Set("X-GraphQL-Preflight", "1")
		exchanged(t, b, r)
	})
}

// fuzzed sends what may be anything, and wants an answer that is never a fault
// of the server.
func fuzzed(t *testing.T, b *graphtest.Server, method, target string, header http.Header, body []byte) {
	r := httptest.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	r.Header = header
	exchanged(t, b, r)
}

func exchanged(t *testing.T, b *graphtest.Server, r *http.Request) {
	w := httptest.NewRecorder()
	b.Handler.ServeHTTP(w, r.WithContext(changes.WithRequestID(context.WithoutCancel(r.Context()), graphtest.RequestID)))
	a := &graphtest.Answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
	if err := json.Unmarshal(a.Body, a); err != nil {
		t.Errorf("%v in %s", err, a.Body)
	}
	if a.Status >= 500 {
		t.Errorf("%d: %s", a.Status, a.Body)
	}
}
