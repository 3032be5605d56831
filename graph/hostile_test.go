package graph_test

import (
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

// The worst documents that are admitted are answered, or refused for their cost,
// within what one request may take (see admission.TestHostileDocumentsAreBounded
// for those that are not).
func TestHostileDocumentsAreAnswered(t *testing.T) {
	b := setup(t).withDemo(t)
	fields := func(n int, field func(i int) string) string {
		return strings.TrimPrefix(document("", 0, n, field), " ")
	}
	for name, query := range map[string]string{
		"250 checks": fields(250, func(i int) string {
			return fmt.Sprintf(`can(user:{email:"u%d@acme.example"},organization:{code:"acme"},permission:"p%d")`, i, i)
		}),
		"250 users": fields(250, func(i int) string {
			return fmt.Sprintf(`user(by:{email:"ada.lovelace@acme.example"}){id a%d:name memberships(first:1){totalCount}}`, i)
		}),
		"490 names on a page of 100":         "{users(first:100){nodes" + fields(490, func(int) string { return "name" }) + "}}",
		"490 names of members, in fragments": "{users(first:100){nodes{...f ...g}}} fragment f on User" + fields(245, func(int) string { return "name" }) + " fragment g on User" + strings.ReplaceAll(fields(245, func(int) string { return "email" }), "f", "g"),
		"200 x one name":                     "{users(first:100){nodes{" + strings.Repeat("name ", 140) + "}}}",
		"the whole schema, 6 times": fields(6, func(int) string {
			return "__schema{types{name fields{name args{name type{name ofType{name ofType{name}}}}}}}"
		}),
		"the whole schema": fields(5, func(int) string {
			return "__schema{types{name fields{name args{name type{name ofType{name ofType{name}}}}}}}"
		}),
		"1000 nodes that are none":      `{nodes(ids:[` + strings.Repeat(`"user_01h455vb4pex5vsknk084sn02q",`, 1000) + `]){id}}`,
		"a matrix of 100 by 100":        `{checkMatrix(organization:{code:"acme"},users:[` + strings.Repeat(`{email:"ada.lovelace@acme.example"}`, 100) + `],permissions:[` + strings.Repeat(`"billing:read"`, 100) + `])}`,
		"a matrix of 1000 by 1000":      `{checkMatrix(organization:{code:"acme"},users:[` + strings.Repeat(`{email:"a"}`, 1000) + `],permissions:[` + strings.Repeat(`"a"`, 1000) + `])}`,
		"members of members":            `{organization(by:{code:"acme"}){members{nodes{user{memberships{nodes{organization{members{nodes{user{id}}}}}}}}}}}`,
		"members of members of members": `{organizations(first:100){nodes{members(first:100){nodes{user{memberships(first:100){nodes{organization{members(first:100){nodes{user{id}}}}}}}}}}}}`,
	} {
		took, bytes, status := time.Hour, uint64(1<<60), 0
		for range 6 {
			before, began := allocated(), time.Now()
			status = b.as(t, b.key, query, nil).Status
			took, bytes = min(took, time.Since(began)), min(bytes, allocated()-before)
		}
		t.Logf("%-36s %d %10v %6d KiB", name, status, took.Round(time.Microsecond), bytes>>10)
		// The time includes that of the database, of this test's reading, and of whatever
		// else the machine does: the bound is for what explodes.
		if took > 5*time.Second || bytes > 32<<20 {
			t.Errorf("%s: %d after %v and %d KiB", name, status, took, bytes>>10)
		}
	}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
