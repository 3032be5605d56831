package admission

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/bench/hostile"
)

var schema = func() *ast.Schema {
	text, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		panic(err)
	}
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
}()

// judged is what it took to judge a document.
type judged struct {
	err   error
	took  time.Duration
	bytes uint64
}

func judge(g *Gate, text string) judged {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	bytes, began := allocated(), processorTime()
	_, err := g.Admit(text)
	return judged{err, processorTime() - began, allocated() - bytes}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// What one document may take of the server, at most.
const (
	mostTime  = slower * 50 * time.Millisecond
	mostBytes = 16 << 20
)

func TestHostileDocumentsAreBounded(t *testing.T) {
	documents := hostile.Documents()
	for _, open := range []bool{false, true} {
		for _, name := range slices.Sorted(maps.Keys(documents)) {
			text := documents[name]
			best := judged{took: time.Hour, bytes: 1 << 60}
			// The best of some: the machine may have other things to do.
			for range 10 {
				one := judge(New(Options{Schema: schema, Open: open}), text)
				best.err, best.took, best.bytes = one.err, min(best.took, one.took), min(best.bytes, one.bytes)
				if best.took < mostTime/2 {
					break
				}
			}
			if testing.Verbose() {
				t.Logf("%-32s %8v %6d KiB  %.100v", name, best.took.Round(10*time.Microsecond), best.bytes>>10, best.err)
			}
			if best.took > mostTime || best.bytes > mostBytes {
				t.Errorf("%s: took %v and %d KiB: %v", name, best.took, best.bytes>>10, best.err)
			}
		}
	}
}

func TestRefusalsAreBoundedAndSilent(t *testing.T) {
	t.Parallel()
	gate := New(Options{Schema: schema})
	for name, document := range hostile.Documents() {
		_, err := gate.Admit(document)
		refusal, ok := errors.AsType[*Refusal](err)
		if err != nil && !ok {
			t.Errorf("%s: %v is no refusal", name, err)
		}
		if !ok {
			continue
		}
		if len(refusal.Errors) == 0 || len(refusal.Errors) > MaxErrors {
			t.Errorf("%s: %d errors", name, len(refusal.Errors))
		}
		for _, e := range refusal.Errors {
			if len(e.Message) > maxMessage+3 || strings.Contains(e.Message, "Did you mean") || strings.Contains(e.Message, "secret") {
				t.Errorf("%s: %s", name, e.Message)
			}
		}
	}
}

// wellMeant are documents that must pass.
func wellMeant(t testing.TB) map[string]string {
	t.Helper()
	documents := map[string]string{
		"introspection": introspection,
		"250 changes": "mutation{" + hostile.Each(100, func(i int) string {
			return fmt.Sprintf(`a%d:deleteUser(input:{user:{email:"a@example.com"}}){deletedIds}`, i)
		}) + "}",
		"page": `query ($after: String!) { users(first: 50, after: $after) {
			nodes { name email memberships { nodes { organization { name } roles { key } } } } } }`,
		"members": `query ($id: ID!, $after: String!) { organization(by: {id: $id}) { members(first: 100, after: $after) {
			nodes { user { email } effectivePermissions { key } } } } }`,
		"relay, 60 components": "{users(first:50){nodes{" + hostile.Each(60, func(i int) string { return fmt.Sprintf("...f%d ", i) }) + "}}}" +
			hostile.Each(60, func(i int) string {
				return fmt.Sprintf("fragment f%d on User{id name a%d:email memberships{nodes{id}}}", i, i)
			}),
	}
	for _, pattern := range []string{"../../demo/documents/*.graphql", "../graphiql/examples/*.graphql"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(err, "nothing in", pattern)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			documents[filepath.Base(file)] = string(text)
		}
	}
	return documents
}

func TestWellMeantDocumentsPass(t *testing.T) {
	t.Parallel()
	for name, text := range wellMeant(t) {
		gate := New(Options{Schema: schema, Open: true})
		document, err := gate.Admit(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, operation := range document.AST.Operations {
			if cost := document.Cost(operation, nil); cost > gate.limits.Cost {
				t.Errorf("%s costs %d", name, cost)
			}
		}
	}
}

// Each limit holds exactly: what is at it passes, what is over it is told both
// numbers.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit Limits // those that are set
		at    string
		over  string
		want  string
	}{
		{Limits{Bytes: 12}, "{__typename}", "{ __typename}", "13 bytes; at most 12"},
		{Limits{Tokens: 3}, "{__typename}", "{__typename a:__typename}", "6 tokens; at most 3"},
		{Limits{Operations: 1}, "query a{__typename}", "query a{__typename} query b{__typename}", "2 operations; at most 1"},
		{Limits{Fragments: 1}, "{...a} fragment a on Query{__typename}", "{...a ...b} fragment a on Query{__typename} fragment b on Query{__typename}", "2 fragments; at most 1"},
		{Limits{Variables: 1}, "query($a:Int){users(first:$a){totalCount}}", "query($a:Int,$b:Int){users(first:$a){totalCount}}", "2 variables; at most 1"},
		{Limits{Directives: 1}, "{__typename@skip(if:true)}", "{__typename@skip(if:true)@include(if:true)}", "2 directives; at most 1"},
		{Limits{Aliases: 1}, "{a:__typename}", "{a:__typename b:__typename}", "2 aliases; at most 1"},
		{Limits{NameBytes: 10}, "{__typename}", "{abcdefghijk:__typename}", "11 bytes in one name; at most 10"},
		{Limits{ValueDepth: 1}, `{nodes(ids:["a"]){id}}`, `{nodes(ids:[["a"]]){id}}`, "2 levels of lists and objects"},
		{Limits{Depth: 1}, "{users{totalCount}}", "{users{nodes{id}}}", "2 levels of selections; at most 1"},
		{Limits{Fields: 2}, "{...a} fragment a on Query{__typename}", "{...a ...a} fragment a on Query{__typename}", "3 fields"},
		{Limits{RootFields: 1}, "{__typename}", "{__typename a:__typename}", "2 root fields; at most 1"},
		{Limits{Width: 2}, "{users{totalCount nodes{id}}}", "{users{totalCount nodes{id} __typename}}", "3 response names"},
		{Limits{Repeats: 2}, "{__typename __typename}", "{__typename __typename __typename}", "3 repeats"},
		{Limits{Comparisons: 4}, "{__typename __typename}", "{__typename ...{__typename}}", "6 comparisons of fields with the same response name; at most 4"},
		{Limits{Nodes: 3}, "{users{totalCount}}", "{users(first:1){totalCount}}", "fields, arguments and values, with fragments spread; at most 3"},
	} {
		t.Run(c.want, func(t *testing.T) {
			gate := New(Options{Schema: schema, Limits: withDefaults(c.limit)})
			if _, err := gate.Admit(c.at); err != nil {
				t.Errorf("%s: %v", c.at, err)
			}
			_, err := gate.Admit(c.over)
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok || refusal.Excess == nil || !strings.Contains(err.Error(), c.want) || refusal.Excess.Requested <= refusal.Excess.Limit {
				t.Errorf("%s: %v, want %s", c.over, err, c.want)
			}
		})
	}
}

// withDefaults fills in what is not set.
func withDefaults(l Limits) *Limits {
	all := DefaultLimits
	for _, set := range []struct{ from, to *int }{
		{&l.Bytes, &all.Bytes}, {&l.Tokens, &all.Tokens}, {&l.Operations, &all.Operations}, {&l.Fragments, &all.Fragments},
		{&l.Variables, &all.Variables}, {&l.Directives, &all.Directives}, {&l.Aliases, &all.Aliases}, {&l.NameBytes, &all.NameBytes},
		{&l.ValueDepth, &all.ValueDepth}, {&l.Depth, &all.Depth}, {&l.Fields, &all.Fields}, {&l.Nodes, &all.Nodes}, {&l.RootFields, &all.RootFields},
		{&l.Width, &all.Width}, {&l.Repeats, &all.Repeats}, {&l.Comparisons, &all.Comparisons},
	} {
		if *set.from != 0 {
			*set.to = *set.from
		}
	}
	return &all
}

func TestNothingOfValuesIsEchoed(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		gate := New(Options{Schema: schema, Open: open})
		for _, text := range []string{
			`{users(first:"canary"){totalCount}}`, `{users(orderBy:{field:"canary"}){totalCount}}`, `{users(orderBy:{field:canary}){totalCount}}`,
			`{users(orderBy:canary){totalCount}}`, `{users(filter:"canary"){totalCount}}`, `{users(filter:["canary"]){totalCount}}`,
			`{user(by:{id:"canary", email:"canary"}){id}}`, `{user(by:{id:["canary"]}){id}}`, `{user(by:{id:{canary:"canary"}}){id}}`,
			`{node(id:canary){id}}`, `{node(id:"\q canary"){id}}`, `{node(id:"canary}}`, `{node(id:"x" "canary"){id}}`, `"canary" 7`,
			`query($a:Int="canary"){users(first:$a){totalCount}}`, `query($a:UserRef={id:["canary"]}){user(by:$a){id}}`,
			`{__typename @skip(if:"canary")}`, `{can(user:{email:"a"},organization:{code:"b"},permission:["canary"])}`,
			`{users(first:1 canary`, `{users(first:0canary){totalCount}}`, "{users(first:\"canary\n\"){totalCount}}",
		} {
			t.Run(text, func(t *testing.T) {
				_, err := gate.Admit(text)
				refusal, ok := errors.AsType[*Refusal](err)
				if !ok {
					t.Errorf("%s: %v", text, err)
					return
				}
				for _, e := range refusal.Errors {
					if strings.Contains(e.Error(), "canary") && !strings.Contains(text, "{canary:") {
						t.Errorf("%s: %v", text, e)
					}
				}
			})
		}
	}
}

func TestIntrospectionIsForDevelopment(t *testing.T) {
	t.Parallel()
	for _, text := range []string{introspection, `{__type(name:"User"){name}}`, "{...f} fragment f on Query{a:__schema{types{name}}}"} {
		if _, err := New(Options{Schema: schema, Open: true}).Admit(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := New(Options{Schema: schema}).Admit(text); err == nil {
			t.Errorf("%s is answered", text)
		}
	}
}

func TestSuggestions(t *testing.T) {
	t.Parallel()
	open, closed := New(Options{Schema: schema, Open: true}), New(Options{Schema: schema})
	for _, text := range []string{
		"{usrs{totalCount}}", "{users(frst:1){totalCount}}", "{node(id:1){...f}} fragment f on Usr{id}", "{users(orderBy:{field:CREATED}){totalCount}}",
		"{users(orderBy:{feld:CREATED_AT}){totalCount}}", `{users(orderBy:{field:"CREATED_AT"}){totalCount}}`, "{__typename @skip(ff:true)}",
	} {
		if _, err := open.Admit(text); err == nil || !strings.Contains(all(err), "Did you mean") {
			t.Errorf("%s: %v suggests nothing", text, err)
		}
		if _, err := closed.Admit(text); err == nil || strings.Contains(all(err), "Did you mean") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func all(err error) string {
	refusal, _ := errors.AsType[*Refusal](err)
	return refusal.Errors.Error()
}

func TestCost(t *testing.T) {
	t.Parallel()
	gate := New(Options{Schema: schema})
	variables := map[string]any{
		"n": int64(7), "ids": []any{"a", "b", "c"}, "input": map[string]any{"users": []any{"a", "b"}, "roles": []any{"c"}},
	}
	for text, want := range map[string]int{
		"{__typename}":                              1,
		"{viewer{__typename}}":                      250 + 2,
		"{users{nodes{id}}}":                        250 + 21 + 20,
		"{users(first:50){nodes{id name}}}":         250 + 21 + 50*2,
		"{users(last:1000){edges{node{id}}}}":       250 + 21 + 100*2,
		"query($n:Int){users(first:$n){nodes{id}}}": 250 + 21 + 7,
		"query($m:Int){users(first:$m){nodes{id}}}": 250 + 21 + 20,
		"query($n:Int){users(first:$n){...f}} fragment f on UserConnection{nodes{id} edges{cursor}}": 250 + 20 + 1 + 7 + 1 + 7,
		"{users(first:10){nodes{memberships(first:5){nodes{roles{key}}}}}}":                          250 + 21 + 10*(21+5*(1+3)),
		`{nodes(ids:["a","b"]){id}}`:              250 + 1 + 2*20 + 2,
		"query($ids:[ID!]!){nodes(ids:$ids){id}}": 250 + 1 + 3*20 + 3,
		"{users{totalCount}}":                     250 + 20 + 20,
		"mutation($input:GrantRolesInput!){grantRoles(input:$input){memberships{id}}}":                                                                400 + 2*100 + 1 + 3*20 + 1 + 10,
		`mutation($ids:[RoleRef!]!){grantRoles(input:{organization:{code:"a"},users:[{id:"a"},{id:"b"}],roles:$ids}){memberships{id}}}`:               400 + 2*3*100 + 1 + 2*20 + 3*20 + 1 + 10,
		`mutation{...f} fragment f on Mutation{a:deleteUser(input:{user:{id:"a"}}){deletedIds} ...{b:deleteUser(input:{user:{id:"b"}}){deletedIds}}}`: 2 * (400 + 100 + 2 + 10),
		"{checkMatrix(organization:{code:\"a\"},users:[{id:\"a\"},{id:\"b\"}],permissions:[\"a\",\"b\",\"c\"])}":                                      250 + 1 + 5*20 + 6,
		`{can(user:{email:"a"},organization:{code:"b"},permission:"c")}`:                                                                              250 + 5,
		`{explain(user:{email:"a"},organization:{code:"b"},permission:"c"){allowed}}`:                                                                 250 + 5000 + 1,
		`{organization(by:{code:"a"}){member(user:{email:"b"}){explain(permission:"c"){allowed}}}}`:                                                   250 + 1 + 20 + 20 + 1,
	} {
		t.Run(text, func(t *testing.T) {
			document, err := gate.Admit(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				return
			}
			if cost := document.Cost(document.Operation(""), variables); cost != want {
				t.Errorf("%s costs %d, want %d", text, cost, want)
			}
		})
	}
}

func TestCacheIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits
	limits.CacheBytes = 100_000
	gate := New(Options{Schema: schema, Limits: &limits})
	for i := range 1000 {
		if _, err := gate.Admit(fmt.Sprintf("{a%d:__typename}", i)); err != nil {
			t.Fatal(err)
		}
		if bytes := gate.documents.Bytes(); bytes > limits.CacheBytes {
			t.Fatalf("%d bytes", bytes)
		}
	}
	if _, known := gate.Known("{a999:__typename}"); !known {
		t.Error("the last document is forgotten")
	}
	if _, known := gate.Known("{a0:__typename}"); known {
		t.Error("the first document is not forgotten")
	}
}

func FuzzAdmit(f *testing.F) {
	for _, text := range hostile.Documents() {
		if len(text) < 2000 {
			f.Add(text)
		}
	}
	for _, text := range wellMeant(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		one := judge(New(Options{Schema: schema}), text)
		if one.took > slower*time.Second || one.bytes > 64<<20 { // fuzzing slows things down
			t.Errorf("took %v and %d KiB: %v", one.took, one.bytes>>10, one.err)
		}
		if _, ok := errors.AsType[*Refusal](one.err); one.err != nil && !ok {
			t.Error(one.err)
		}
	})
}

func BenchmarkAdmitKnown(b *testing.B) {
	gate := New(Options{Schema: schema})
	const text = `query($user:UserRef!){can(user:$user,organization:{code:"acme"},permission:"invoices:read")}`
	variables := map[string]any{"user": map[string]any{"email": "ada@acme.example"}}
	for b.Loop() {
		document, err := gate.Admit(text)
		if err != nil {
			b.Fatal(err)
		}
		document.Cost(document.Operation(""), variables)
	}
}

const introspection = `query IntrospectionQuery { __schema { description queryType { name kind } mutationType { name kind } subscriptionType { name kind }
	types { ...FullType } directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
	fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
	inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
	enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
	kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }`
