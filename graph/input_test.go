package graph_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/graphtest"
	"roster/problem"
)

// canary stands in inputs that are refused: no message may repeat it.
const canary = "canary-7f3a"

// badInput wants an answer that is an error which the client understands.
func badInput(t *testing.T, name string, a *graphtest.Answer) {
	t.Helper()
	if len(a.Errors) == 0 || a.Status >= 500 {
		t.Errorf("%s: %d %.500s", name, a.Status, a.Body)
		return
	}
	for i := range a.Errors {
		if code := a.Code(i); code == "" || code == string(problem.Internal) || a.Errors[i].Extensions["requestId"] != graphtest.RequestID {
			t.Errorf("%s: %d %.500s", name, a.Status, a.Body)
		}
	}
	if strings.Contains(string(a.Body), canary) {
		t.Errorf("%s: the answer repeats a secret: %.500s", name, a.Body)
	}
	if len(a.Errors) > 20 || len(a.Body) > 64<<10 {
		t.Errorf("%s: %d errors, %d bytes", name, len(a.Errors), len(a.Body))
	}
	graphtest.Plain(t, a)
}

const (
	createUser = `mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }`
	grantRoles = `mutation($input: GrantRolesInput!) { grantRoles(input: $input) { memberships { id } } }`
	findUser   = `query($by: UserRef!) { user(by: $by) { id } }`
)

// Variables are sent as JSON text, so that it may be odd.
func TestBadVariables(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	before := b.State(t)
	mb := strings.Repeat(canary, 100_000)
	deep := strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500)
	many := func(n int, element string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	const user, org, role = `{"email":"ada@example.com"}`, `{"code":"acme"}`, `{"key":"clerk"}`
	grant := func(users, roles, more string) string {
		return `{"input":{"organization":` + org + `,"users":` + users + `,"roles":` + roles + more + `}}`
	}
	id := func(kind string) string { return kind + "_01h455vb4pex5vsknk084sn02q" }
	for name, test := range map[string]struct{ query, variables string }{
		"a required variable is missing":  {createUser, `{}`},
		"a required variable is null":     {createUser, `{"input": null}`},
		"a scalar for an object":          {createUser, `{"input": "` + canary + `"}`},
		"an unknown field":                {createUser, `{"input": {"email": "a@example.com", "password_hash": "` + canary + `"}}`},
		"String: number":                  {createUser, `{"input": {"email": 7}}`},
		"String: boolean":                 {createUser, `{"input": {"email": true}}`},
		"String: object":                  {createUser, `{"input": {"email": {"x": "` + canary + `"}}}`},
		"String: list":                    {createUser, `{"input": {"email": ["` + canary + `"]}}`},
		"String: NUL":                     {createUser, `{"input": {"givenName": "` + canary + `\u0000"}}`},
		"String: NUL in a name":           {createUser, `{"input": {"email": "a\u0000@example.com"}}`},
		"String: lone high surrogate":     {createUser, `{"input": {"givenName": "` + canary + `\ud800"}}`},
		"String: lone low surrogate":      {createUser, `{"input": {"givenName": "` + canary + `\udc00x"}}`},
		"String: surrogates in disorder":  {createUser, `{"input": {"givenName": "\udc00\ud800"}}`},
		"String: two high surrogates":     {createUser, `{"input": {"givenName": "\ud83d\ud83d\ude00"}}`},
		"String: not UTF-8":               {createUser, "{\"input\": {\"givenName\": \"" + canary + "\xff\"}}"},
		"String: control characters":      {createUser, `{"input": {"username": "x", "givenName": "a\u0007b"}}`},
		"String: a megabyte":              {createUser, `{"input": {"email": "` + mb + `@example.com"}}`},
		"String: a megabyte of name":      {createUser, `{"input": {"username": "x", "givenName": "` + mb + `"}}`},
		"String: a megabyte of combining": {createUser, `{"input": {"username": "x", "givenName": "a` + strings.Repeat("\u0301", 400_000) + `"}}`},
		"Int: fraction":                   {`query($n: Int) { users(first: $n) { totalCount } }`, `{"n": 1.5}`},
		"Int: 32 bits":                    {`query($n: Int) { users(first: $n) { totalCount } }`, `{"n": 2147483648}`},
		"Int: huge":                       {`query($n: Int) { users(first: $n) { totalCount } }`, `{"n": 1e400}`},
		"Int: string":                     {`query($n: Int) { users(first: $n) { totalCount } }`, `{"n": "5"}`},
		"Int: boolean":                    {`query($n: Int) { users(first: $n) { totalCount } }`, `{"n": true}`},
		"Int: negative":                   {`query($n: Int) { users(first: $n) { totalCount } }`, `{"n": -5}`},
		"Int: version of 33 bits":         {`mutation($v: Int) { updateUser(input: {user: {email: "ada@example.com"}, ifVersion: $v}) { user { id } } }`, `{"v": 4294967297}`},
		"Boolean: string":                 {`mutation($x: Boolean!) { createRole(input: {key: "x", isDefault: $x}) { role { id } } }`, `{"x": "true"}`},
		"Boolean: number":                 {`mutation($x: Boolean!) { createRole(input: {key: "x", isDefault: $x}) { role { id } } }`, `{"x": 1}`},
		"enum: unknown":                   {`query($s: UserStatus) { users(filter: {status: $s}) { totalCount } }`, `{"s": "` + canary + `"}`},
		"enum: number":                    {`query($s: UserStatus) { users(filter: {status: $s}) { totalCount } }`, `{"s": 1}`},
		"DateTime: no instant":            {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": "` + canary + `"}`},
		"DateTime: number":                {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": 1700000000}`},
		"DateTime: year 10000":            {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": "10000-01-01T00:00:00Z"}`},
		"DateTime: year 10000 in UTC":     {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": "9999-12-31T23:59:59-00:01"}`},
		"DateTime: year 0 in UTC":         {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": "0001-01-01T00:00:00+00:01"}`},
		"DateTime: a comma":               {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": "2026-01-01T00:00:00,5Z"}`},
		"DateTime: an hour of one digit":  {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": "2026-01-01T0:00:00Z"}`},
		"DateTime: a zone of 24 hours":    {`query($s: DateTime) { users(filter: {createdAfter: $s}) { totalCount } }`, `{"s": "2026-01-01T00:00:00+24:00"}`},
		"ID: fraction":                    {`query($id: ID!) { node(id: $id) { id } }`, `{"id": 7.5}`},
		"ID: NUL":                         {`query($id: ID!) { node(id: $id) { id } }`, `{"id": "user_\u0000"}`},
		"properties: no object":           {createUser, `{"input": {"username": "x", "properties": ["` + canary + `"]}}`},
		"properties: deep":                {createUser, `{"input": {"username": "x", "properties": ` + deep + `}}`},
		"properties: very deep":           {createUser, `{"input": {"username": "x", "properties": ` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}}`},
		"properties: large":               {createUser, `{"input": {"username": "x", "properties": {"a": "` + strings.Repeat("x", 17<<10) + `"}}}`},
		"properties: long when printed":   {createUser, `{"input": {"username": "x", "properties": {"a": ` + many(1380, "1e308") + `}}}`},
		"properties: larger than read":    {createUser, `{"input": {"username": "x", "properties": {"a": "` + strings.Repeat("x", 300<<10) + `"}}}`},
		"properties: huge number":         {createUser, `{"input": {"username": "x", "properties": {"a": 1e999}}}`},
		"properties: NUL in a key":        {createUser, `{"input": {"username": "x", "properties": {"\u0000": 1}}}`},
		"properties: lone surrogate":      {createUser, `{"input": {"username": "x", "properties": {"a": "\ud800"}}}`},
		"@oneOf: two":                     {findUser, `{"by": {"email": "ada@example.com", "username": "` + canary + `"}}`},
		"@oneOf: none":                    {findUser, `{"by": {}}`},
		"@oneOf: null":                    {findUser, `{"by": {"email": null}}`},
		"@oneOf: two and null":            {findUser, `{"by": {"email": "ada@example.com", "username": "` + canary + `", "id": null}}`},
		"@oneOf: nulls":                   {findUser, `{"by": {"email": null, "id": null}}`},
		"@oneOf: unknown":                 {findUser, `{"by": {"name": "` + canary + `"}}`},
		"@oneOf: in a list":               {grantRoles, grant(`[`+user+`,{}]`, `[`+role+`]`, ``)},
		"@oneOf: null by a variable":      {`query($e: String) { user(by: {email: $e}) { id } }`, `{"e": null}`},
		"@oneOf: left out by a variable":  {`query($e: String) { user(by: {email: $e}) { id } }`, `{}`},
		"@oneOf: by default":              {`query($by: UserRef! = {email: "x", id: "y"}) { user(by: $by) { id } }`, `{}`},
		"list: empty":                     {grantRoles, grant(`[]`, `[`+role+`]`, ``)},
		"list: null element":              {grantRoles, grant(`[null]`, `[`+role+`]`, ``)},
		"list: 100,000 elements":          {grantRoles, grant(many(100_000, user), `[`+role+`]`, ``)},
		"list: 100,000 roles":             {grantRoles, grant(`[`+user+`]`, many(100_000, role), ``)},
		"list: 100,000 faults":            {grantRoles, grant(many(100_000, `{}`), `[`+role+`]`, ``)},
		"list: 1,000 missing":             {grantRoles, grant(many(1000, `{"email":"`+canary+`"}`), `[`+role+`]`, ``)},
		"list: 100,000 checks":            {`query($c: [CheckInput!]!) { checks(input: $c) }`, `{"c": ` + many(20_000, `{"user":`+user+`,"organization":`+org+`,"permission":"x"}`) + `}`},
		"list: 100,000 ids":               {`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, `{"ids": ` + many(100_000, `"user_x"`) + `}`},
		"list: a large matrix":            {`query($u: [UserRef!]!, $p: [String!]!) { checkMatrix(organization: {code: "acme"}, users: $u, permissions: $p) }`, `{"u": ` + many(1001, user) + `, "p": ` + many(1000, `"x"`) + `}`},
		"list: a matrix of users only":    {`query($u: [UserRef!]!) { checkMatrix(organization: {code: "acme"}, users: $u, permissions: []) }`, `{"u": ` + many(50_000, user) + `}`},
		"list: domains":                   {`mutation($d: [String!]) { createOrganization(input: {name: "x", autoJoinDomains: $d}) { organization { id } } }`, `{"d": ` + many(100_000, `"x.example"`) + `}`},
		"list: organizations":             {createUser, `{"input": {"username": "x", "organizations": ` + many(100_000, org) + `}}`},
		"id of another type":              {`mutation($id: ID!) { suspendUser(input: {user: {id: $id}}) { user { id } } }`, `{"id": "` + id("org") + `"}`},
		"id that never was":               {`mutation($id: ID!) { suspendUser(input: {user: {id: $id}}) { user { id } } }`, `{"id": "` + id("user") + `"}`},
		"id that is none":                 {`mutation($id: ID!) { revokeApiKey(input: {apiKey: $id}) { apiKey { id } } }`, `{"id": "` + canary + `"}`},
		"id in capitals":                  {`mutation($id: ID!) { suspendUser(input: {user: {id: $id}}) { user { id } } }`, `{"id": "` + strings.ToUpper(id("user")) + `"}`},
		"key: a megabyte":                 {`mutation($k: String!) { createPermission(input: {key: $k}) { permission { id } } }`, `{"k": "` + mb + `"}`},
		"key: percent":                    {`mutation($k: String!) { createPermission(input: {key: $k}) { permission { id } } }`, `{"k": "` + canary + `%"}`},
		"reference: a megabyte":           {`mutation($k: String!) { suspendUser(input: {user: {email: $k}}) { user { id } } }`, `{"k": "` + mb + `"}`},
		"reference: empty":                {`mutation { suspendUser(input: {user: {email: ""}}) { user { id } } }`, `{}`},
		"reason: a megabyte":              {grantRoles, grant(`[`+user+`]`, `[`+role+`]`, `,"reason":"`+mb+`"`)},
		"reason: control characters":      {grantRoles, grant(`[`+user+`]`, `[`+role+`]`, `,"reason":"a\u0001"`)},
		"endsAt before startsAt":          {grantRoles, grant(`[`+user+`]`, `[`+role+`]`, `,"startsAt":"2030-01-01T00:00:00Z","endsAt":"2029-01-01T00:00:00Z"`)},
		"endsAt of a revoke in the past":  {`mutation($input: RevokeRolesInput!) { revokeRoles(input: $input) { memberships { id } } }`, grant(`[`+user+`]`, `[`+role+`]`, `,"endsAt":"2021-01-01T00:00:00Z"`)},
		"asOf in the future":              {`query($a: DateTime!) { user(by: {email: "ada@example.com"}) { membership(organization: {code: "acme"}) { effectivePermissions(asOf: $a) { key } } } }`, `{"a": "2990-01-01T00:00:00Z"}`},
		"search: a megabyte":              {`query($s: String) { users(filter: {search: $s}) { totalCount } }`, `{"s": "` + mb + `"}`},
		"cursor: a megabyte":              {`query($c: String) { users(after: $c) { totalCount } }`, `{"c": "` + mb + `"}`},
		"move to the same":                {`mutation { moveMember(input: {user: {email: "ada@example.com"}, from: {code: "acme"}, to: {code: "acme"}}) { membership { id } } }`, `{}`},
		"update to nothing to know by":    {`mutation { updateUser(input: {user: {email: "ada@example.com"}, email: null}) { user { id } } }`, `{}`},
		"update a required name to null":  {`mutation { updateOrganization(input: {organization: {code: "acme"}, name: null}) { organization { id } } }`, `{}`},
		"a flag that is null":             {`mutation { updateRole(input: {role: {key: "clerk"}, isDefault: null}) { role { id } } }`, `{}`},
		"a key in the past":               {`mutation { createApiKey(input: {name: "x", permissions: [], expiresAt: "2020-01-01T00:00:00Z"}) { secret } }`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			query, err := json.Marshal(test.query)
			graphtest.Must(t, err)
			a := b.Send(t, http.MethodPost, "/graphql", graphtest.Headers(b.Key), []byte(`{"query": `+string(query)+`, "variables": `+test.variables+`}`))
			badInput(t, name, a)
		})
	}
	b.Unchanged(t, before)
}

// Generated clients that cannot leave fields out send null for them. In a @oneOf that
// is as good as nothing, if exactly one other field is given.
func TestNullsBesideOneOf(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	const query = `{"query": "query($by: UserRef!) { user(by: $by) { email } }", "variables": {"by": {"id": null, "email": "ada@example.com", "username": null, "externalId": null}}}`
	a := b.Send(t, http.MethodPost, "/graphql", graphtest.Headers(b.Key), []byte(query))
	if a.Status != http.StatusOK || len(a.Errors) > 0 || !strings.Contains(string(a.Body), "ada@example.com") {
		t.Errorf("answered %d %s", a.Status, a.Body)
	}
}

func TestBadDocuments(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	before := b.State(t)
	for name, query := range map[string]string{
		"empty":                 "",
		"blank":                 " \n# only a comment",
		"no GraphQL":            "select " + canary,
		"unclosed":              "{ users { nodes { id }",
		"unclosed string":       `{ user(by: {email: "` + canary,
		"unknown field":         "{ users { nodes { passwordHash } } }",
		"unknown argument":      `{ users(password: "x") { totalCount } }`,
		"unknown type":          "query($x: Secret) { __typename }",
		"unknown directive":     "{ __typename @secret }",
		"unknown operation":     "query A { __typename } query B { __typename }",
		"subscription":          "subscription { changes { id } }",
		"two fields as one":     `{ x: user(by: {email: "a"}) { id } x: user(by: {email: "b"}) { id } }`,
		"String: number":        `{ user(by: {email: 7}) { id } }`,
		"String: NUL":           `{ user(by: {email: "\u0000"}) { id } }`,
		"String: surrogate":     `{ user(by: {email: "` + canary + `\ud800"}) { id } }`,
		"String: low surrogate": `{ user(by: {email: "\udc00"}) { id } }`,
		"String: disorder":      `{ user(by: {email: "\ude00\ud83d"}) { id } }`,
		"String: escape":        `{ user(by: {email: "\q"}) { id } }`,
		"Int: fraction":         "{ users(first: 1.5) { totalCount } }",
		"Int: 32 bits":          "{ users(first: 2147483648) { totalCount } }",
		"Int: huge":             "{ users(first: 99999999999999999999999999) { totalCount } }",
		"Int: negative":         "{ users(last: -2147483649) { totalCount } }",
		"Int: string":           `{ users(first: "1") { totalCount } }`,
		"Boolean: string":       `mutation { createRole(input: {key: "x", isDefault: "true"}) { role { id } } }`,
		"enum: string":          `{ users(filter: {status: "ACTIVE"}) { totalCount } }`,
		"enum: unknown":         `{ users(filter: {status: DELETED}) { totalCount } }`,
		"JSON: an empty list":   `mutation { createUser(input: {username: "x", properties: []}) { user { id } } }`,
		"JSON: deep":            `mutation { createUser(input: {username: "x", properties: ` + strings.Repeat("{a:", 100) + "1" + strings.Repeat("}", 100) + `}) { user { id } } }`,
		"JSON: very deep":       `mutation { createUser(input: {username: "x", properties: ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}) { user { id } } }`,
		"JSON: NUL":             `mutation { createUser(input: {username: "x", properties: {a: "\u0000"}}) { user { id } } }`,
		"JSON: huge number":     `mutation { createUser(input: {username: "x", properties: {a: 1e999}}) { user { id } } }`,
		"JSON: a variable":      `mutation($x: String) { createUser(input: {username: "x", properties: [$x]}) { user { id } } }`,
		"@oneOf: two":           `{ user(by: {email: "a", id: "b"}) { id } }`,
		"@oneOf: none":          `{ user(by: {}) { id } }`,
		"@oneOf: null":          `{ user(by: {email: null}) { id } }`,
		"@dryRun on a query":    `query @dryRun { __typename }`,
		"fragment in a circle":  `{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }`,
		"deep":                  "{ users { nodes { memberships { nodes " + strings.Repeat("{ user { memberships { nodes ", 300) + "{ id }" + strings.Repeat(" } } }", 300) + " } } } }",
		"many unknown fields":   "{ " + strings.Join(slices.Repeat([]string{"x" + canary[:3]}, 500), " y") + " }",
		"a mutation in a query": "query { createUser(input: {}) { user { id } } }",
	} {
		badInput(t, name, b.As(t, b.Key, query, nil))
	}
	b.Unchanged(t, before)
	// What looks odd, and is right.
	for name, query := range map[string]string{
		"pair of surrogates": `mutation @dryRun { createUser(input: {username: "x", givenName: "\ud83d\ude00"}) { user { name } } }`,
		"itself":             `mutation @dryRun { createUser(input: {username: "x", givenName: "😀"}) { user { name } } }`,
		"block":              `mutation @dryRun { createUser(input: {username: "x", givenName: """😀"""}) { user { name } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			if a := b.Ask(t, query); a.Text("createUser.user.name") != "😀" {
				t.Errorf("%s: %s", name, a.Body)
			}
		})
	}
	if a := b.Ask(t, `query($id: ID!) { node(id: $id) { id } literal: node(id: 4) { id } nodes(ids: ["", 7]) { id } }`, object{"id": 4}); !strings.HasPrefix(string(a.Body), `{"data":{"node":null,"literal":null,"nodes":[null,null]}`) {
		t.Errorf("ids that are integers, which nothing has: %s", a.Body)
	}
	if a := b.Ask(t, `mutation @dryRun { createUser(input: {username: "x", properties: {a: [], b: [[], {}]}}) { user { properties } } }`); !strings.Contains(string(a.Body), `{"a": [], "b": [[], {}]}`) {
		t.Errorf("empty lists: %s", a.Body)
	}
	if a := b.As(t, b.Key, findUser, object{"by": object{"email": 7}}); len(a.Errors) != 1 {
		t.Errorf("one fault: %s", a.Body)
	}
	if a := b.Ask(t, `query($n: String!) { users(filter: {search: $n}) { totalCount } }`, object{"n": `\ud800 \u0000`}); a.At("users.totalCount") != 0.0 {
		t.Errorf("text that looks like an escape: %s", a.Body)
	}
}

// A GET with a key needs no preflight header: no page of another site can send an
// Authorization header without a preflight.
func TestGETWithAKey(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	a := b.Send(t, "GET", "/graphql?query="+url.QueryEscape("{ viewer { apiKey { name } } }"), graphtest.Headers(b.Key), nil)
	if a.Status != 200 || a.Text("viewer.apiKey.name") != "Administrator" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// What comes over HTTP and is no operation.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	before := b.State(t)
	authorized := func(more ...string) http.Header {
		h := graphtest.Headers(b.Key)
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	const mutation = `mutation { createUser(input: {email: "x@example.com"}) { user { id } } }`
	const body = `{"query": "` + `mutation { createUser(input: {email: \"x@example.com\"}) { user { id } } }` + `"}`
	get := "/graphql?query=" + url.QueryEscape(mutation)
	for name, test := range map[string]struct {
		method, target string
		header         http.Header
		body           string
		status         int
	}{
		"no JSON":                  {"POST", "/graphql", authorized(), "query=" + canary, 400},
		"broken JSON":              {"POST", "/graphql", authorized(), `{"query": "{ __typename }", "variables": {"password": "` + canary, 400},
		"empty":                    {"POST", "/graphql", authorized(), "", 400},
		"null":                     {"POST", "/graphql", authorized(), "null", 400},
		"array":                    {"POST", "/graphql", authorized(), "[" + body + "]", 400},
		"empty array":              {"POST", "/graphql", authorized(), "[]", 400},
		"string":                   {"POST", "/graphql", authorized(), `"` + canary + `"`, 400},
		"two objects":              {"POST", "/graphql", authorized(), body + body, 400},
		"query of another type":    {"POST", "/graphql", authorized(), `{"query": 7}`, 400},
		"variables in a list":      {"POST", "/graphql", authorized(), `{"query": "{ __typename }", "variables": ["` + canary + `"]}`, 400},
		"variables as text":        {"POST", "/graphql", authorized(), `{"query": "{ __typename }", "variables": "{}"}`, 400},
		"operationName as a list":  {"POST", "/graphql", authorized(), `{"query": "{ __typename }", "operationName": []}`, 400},
		"an unknown operationName": {"POST", "/graphql", authorized(), `{"query": "query A { __typename }", "operationName": "` + canary + `"}`, 422},
		"no query":                 {"POST", "/graphql", authorized(), `{"variables": {}}`, 400},
		"not UTF-8":                {"POST", "/graphql", authorized(), "{\"query\": \"{ __typename }\", \"x\": \"\xff\"}", 400},
		"UTF-16":                   {"POST", "/graphql", authorized("Content-Type", "application/json; charset=utf-16"), body, 415},
		"too large":                {"POST", "/graphql", authorized(), `{"query": "` + strings.Repeat(" ", 5<<20) + `"}`, 413},
		"text/plain":               {"POST", "/graphql", authorized("Content-Type", "text/plain"), body, 415},
		"a form":                   {"POST", "/graphql", authorized("Content-Type", "application/x-www-form-urlencoded"), "query=" + url.QueryEscape(mutation), 415},
		"multipart":                {"POST", "/graphql", authorized("Content-Type", "multipart/form-data; boundary=x"), "--x--", 400},
		"application/graphql":      {"POST", "/graphql", authorized("Content-Type", "application/graphql"), mutation, 415},
		"no content type":          {"POST", "/graphql", authorized("Content-Type", ""), body, 415},
		"GET a mutation":           {"GET", get, authorized("X-GraphQL-Preflight", "1"), "", 405},
		"GET without preflight":    {"GET", "/graphql?query=" + url.QueryEscape("{ __typename }"), http.Header{}, "", 400},
		"GET no query":             {"GET", "/graphql", authorized("X-GraphQL-Preflight", "1"), "", 400},
		"GET with broken variables": {"GET", "/graphql?query=" + url.QueryEscape("{ __typename }") + "&variables=" + canary,
			authorized("X-GraphQL-Preflight", "1"), "", 400},
		"HEAD a mutation":     {"HEAD", get, authorized("X-GraphQL-Preflight", "1"), "", 405},
		"PUT":                 {"PUT", "/graphql", authorized(), body, 405},
		"DELETE":              {"DELETE", "/graphql", authorized(), "", 405},
		"another credential":  {"POST", "/graphql", authorized("Authorization", "Basic "+canary), body, 401},
		"an unknown key":      {"POST", "/graphql", authorized("Authorization", "Bearer rk_"+canary+strings.Repeat("x", 40)), body, 401},
		"a key that is long":  {"POST", "/graphql", authorized("Authorization", "Bearer rk_"+strings.Repeat(canary, 10_000)), body, 401},
		"a key with odd text": {"POST", "/graphql", authorized("Authorization", "Bearer rk_\xff"+canary), body, 401},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.Send(t, test.method, test.target, test.header, []byte(test.body))
			badInput(t, name, a)
			if a.Status != test.status || strings.Contains(string(a.Body), `"data"`) {
				t.Errorf("%s: %d %s, want %d", name, a.Status, a.Body, test.status)
			}
			if (a.Status == 405) != (a.Header.Get("Allow") != "") {
				t.Errorf("%s: Allow is %q", name, a.Header.Get("Allow"))
			}
			if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v", name, a.Header)
			}
		})
	}
	b.Unchanged(t, before)
	h := authorized("X-GraphQL-Preflight", "1")
	h.Del("Content-Type")
	if a := b.Send(t, "GET", "/graphql?query="+url.QueryEscape("query($f: Int) { users(first: $f) { totalCount } }")+"&variables="+url.QueryEscape(`{"f": 1}`), h, nil); a.At("users.totalCount") != 0.0 {
		t.Errorf("a query by GET: %d %s", a.Status, a.Body)
	}
	several := `query A { viewer { permissions } } mutation B { createUser(input: {email: "x@example.com"}) { user { id } } }`
	if a := b.Send(t, "GET", "/graphql?operationName=A&query="+url.QueryEscape(several), h, nil); a.Status != 200 || len(a.Errors) > 0 {
		t.Errorf("the query of two operations by GET: %d %s", a.Status, a.Body)
	}
	if a := b.Send(t, "GET", "/graphql?operationName=B&query="+url.QueryEscape(several), h, nil); a.Status != 405 {
		t.Errorf("the mutation of two operations by GET: %d %s", a.Status, a.Body)
	}
	b.Unchanged(t, before)
}

// Any value of any type, in the place of any argument, gets an answer, and never
// a fault of the server.
func TestAnyValueAnywhere(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	known := newCaller(t, b)
	schema := graphtest.LoadSchema(t, "../schema.graphqls")
	values := []string{"null", "7", "-1", "1.5", "true", `""`, `" "`, `"x"`, `"\u0007"`, "ACTIVE", "[]", "{}", "[[]]", `{id: ""}`, `{email: ""}`, `{key: "%"}`, `{code: "\\"}`,
		`{externalId: "é"}`, `{id: "user_01h455vb4pex5vsknk084sn02q"}`, `"2026-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999Z"`, `[null]`, `[{}]`, `["x"]`}
	n := 0
	for _, f := range append(ownFields(schema.Query), ownFields(schema.Mutation)...) {
		operation, owner := "query", "Query"
		if schema.Mutation.Fields.ForName(f.Name) != nil {
			operation, owner = operationOf("Mutation", f), "Mutation"
		}
		for _, a := range f.Arguments {
			for _, path := range append([]string{a.Name}, inputPaths(schema.Types[a.Type.Name()], a.Name)...) {
				for _, value := range values {
					c := &caller{schema: schema, ids: known.ids, place: path, instead: value}
					answer := b.As(t, b.Key, operation+" { "+c.call(owner, f)+" }", nil)
					n++
					if strings.Contains(answer.Codes(), "INTERNAL") || answer.Status >= 500 {
						t.Errorf("%s with %s as %s: %.600s", f.Name, value, path, answer.Body)
					}
					if len(answer.Errors) > 0 {
						graphtest.Plain(t, answer)
					}
				}
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d documents", n)
	}
}

// inputPaths returns the fields of an input, as caller.place tells them.
func inputPaths(d *ast.Definition, prefix string) []string {
	if d.Kind != ast.InputObject {
		return nil
	}
	var paths []string
	for _, f := range d.Fields {
		paths = append(paths, prefix+"."+f.Name)
	}
	return paths
}

// The text \u0000, of six characters, is a text like others.
func TestTextOfAnEscape(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	const text = `C:\u0000 '\' \\u0000`
	a := b.Ask(t, `mutation($t: String!, $p: JSON!) {
		createUser(input: {username: "x", givenName: $t, properties: $p, organizations: [{code: "acme"}]}) { user { name properties } }
		updateOrganization(input: {organization: {code: "acme"}, name: $t, properties: $p}) { organization { name } }
		grantRoles(input: {organization: {code: "acme"}, users: [{username: "x"}], roles: [{key: "clerk"}], reason: $t}) { memberships { grants { reason } } }
	}`, object{"t": text, "p": object{text: text}})
	read := b.Ask(t, `{ user(by: {username: "x"}) { name properties } changes(last: 20, filter: {action: "user.created"}) { nodes { after } } }`)
	properties, _ := read.At("user.properties").(object)
	if a.Text("createUser.user.name") != text || read.Text("user.name") != text || properties[text] != text || a.Text("grantRoles.memberships.0.grants.0.reason") != text {
		t.Errorf("%s\n%s", a.Body, read.Body)
	}
}

// A null in the place of a reference is blamed on the reference, not on another
// of its fields.
func TestNullReference(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	a := b.As(t, b.Key, `{ user(by: {email: null}) { id } }`, nil)
	badInput(t, "null", a)
	if message := a.Errors[0].Message; message != "UserRef takes exactly one of its fields, and not null." {
		t.Error(message)
	}
}

// Whoever makes several mistakes learns of all of them at once, each where it is.
func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, mutationSeed)
	for document, fields := range map[string]string{
		`createUser(input: {email: "x", username: "@", password: "short", organizations: [{code: "acme"}, {code: "nope"}], roles: [{key: "nope"}]}) { user { id } }`:                                                             "email organizations.1 password roles.0 username",
		`createUser(input: {email: "x@example.com", password: "short", passwordHash: "x"}) { user { id } }`:                                                                                                                      "password passwordHash passwordHash",
		`setTemporaryPassword(input: {user: {email: "nobody@example.com"}, password: "short"}) { user { id } }`:                                                                                                                  "password user",
		`createApplication(input: {name: " ", kind: MACHINE, redirectUrls: ["x"], audiences: ["", "a b"], permissions: [{key: "nope"}], organization: {code: "nope"}}) { application { id } }`:                                   "audiences.0 audiences.1 name organization permissions.0 redirectUrls redirectUrls.0",
		`createIdentityProvider(input: {key: "", kind: OIDC, issuer: "x", clientId: " ", clientSecret: "", displayName: "\u200b", organization: {code: "nope"}, domains: ["a..b", "c"]}) { provider { id } }`:                    "clientId clientSecret displayName domains.0 domains.1 issuer key organization",
		`updateIdentityProvider(input: {provider: "x", displayName: "", clientId: "", clientSecret: "", domains: [".."], trusted: null}) { provider { id } }`:                                                                    "clientId clientSecret displayName domains.0 provider trusted",
		`invite(input: {email: "x", organization: {code: "nope"}, givenName: "\u200b", roles: [{key: "nope"}], expiresAt: "2020-01-01T00:00:00Z"}) { link }`:                                                                     "email expiresAt givenName organization roles.0",
		`createUsers(input: {users: [{email: "x", roles: [{key: "nope"}], organizations: [{code: "nope"}]}, {username: "@", properties: [], phone: "1"}]}) { users { id } }`:                                                     "users.0.email users.0.organizations.0 users.0.roles.0 users.1.phone users.1.properties users.1.username",
		`updateSettings(input: {minimumPasswordLength: 1, sessionIdleSeconds: 1, defaultOrganization: {code: "nope"}, defaultRoles: [{key: "nope"}], branding: {name: "\u200b", colour: "x"}}) { settings { allowSelfSignUp } }`: "branding.colour branding.name defaultOrganization defaultRoles.0 minimumPasswordLength sessionIdleSeconds",
		`updateOrganization(input: {organization: {code: "nope"}, name: "\u200b", autoJoinDomains: ["a..b"], allowSelfSignUp: null, defaultRoles: [{key: "nope"}], externalId: "", properties: []}) { organization { id } }`:     "allowSelfSignUp autoJoinDomains.0 defaultRoles.0 externalId name organization properties",
		`createApiKey(input: {name: " ", permissions: [{key: "nope"}], user: {email: "nobody@example.com"}, expiresAt: "2020-01-01T00:00:00Z"}) { secret }`:                                                                      "expiresAt name permissions.0 user",
		`moveMember(input: {user: {email: "nobody@example.com"}, from: {code: "acme"}, to: {code: "nope"}, keepGrants: true}) { membership { id } }`:                                                                             "to user",
		`signUp(input: {email: "x", password: "short", givenName: "\u200b"}) { result { __typename } }`:                                                                                                                          "email givenName password",
	} {
		t.Run(document, func(t *testing.T) {
			a := b.As(t, b.Key, "mutation { "+document+" }", nil)
			var got []string
			for i := range a.Errors {
				got = append(got, strings.TrimPrefix(a.Field(i), "input."))
			}
			if slices.Sort(got); strings.Join(got, " ") != fields {
				t.Errorf("told is %v, want %s\n%s", got, fields, a.Body)
			}
		})
	}
}
