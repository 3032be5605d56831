package hostile

import (
	"fmt"
	"strings"
)

const (
	anID     = "user_01h455vb4pex5vsknk084sn02q"
	ada      = `{email:"ada.lovelace@acme.example"}`
	acme     = `{code:"acme"}`
	aCheck   = `{"user":{"email":"ada.lovelace@acme.example"},"organization":{"code":"acme"},"permission":"billing:read"}`
	allTypes = "__schema{types{name fields{name args{name type{name ofType{name ofType{name}}}}}}}"
)

// fields selects n fields, each under its own name.
func fields(n int, field func(i int) string) string {
	return "{" + Each(n, func(i int) string { return fmt.Sprintf("f%d:%s ", i, field(i)) }) + "}"
}

// same selects one field n times, each under its own name.
func same(n int, field string) string { return fields(n, func(int) string { return field }) }

// operations are well-formed: they are the worst to carry out, or too costly by
// a little.
var operations = map[string]func() string{
	"250 checks": func() string {
		return fields(250, func(i int) string {
			return fmt.Sprintf(`can(user:{email:"u%d@acme.example"},organization:%s,permission:"p%d")`, i, acme, i)
		})
	},
	"250 users": func() string {
		return fields(250, func(i int) string {
			return fmt.Sprintf("user(by:%s){id a%d:name memberships(first:1){totalCount}}", ada, i)
		})
	},
	"250 users who are none": func() string {
		return fields(250, func(i int) string { return fmt.Sprintf(`user(by:{email:"u%d@acme.example"}){id}`, i) })
	},
	"deferred 20 times": func() string {
		return "{" + strings.Repeat("...@defer{users(first:1){nodes{id}}}", 20) + "}"
	},
	"250 nodes that are no ids": func() string {
		return fields(250, func(i int) string { return fmt.Sprintf(`node(id:"%d"){id}`, i) })
	},
	"250 explanations": func() string {
		return fields(250, func(i int) string {
			return fmt.Sprintf(`explain(user:%s,organization:%s,permission:"p%d"){allowed}`, ada, acme, i)
		})
	},
	"explanations of members": func() string {
		return "{organization(by:" + acme + "){members(first:100){nodes" +
			fields(20, func(i int) string { return fmt.Sprintf(`explain(permission:"p%d"){allowed obstacles}`, i) }) + "}}}"
	},
	"permissions of members, long ago": func() string {
		return "{organization(by:" + acme + "){members(first:100){nodes" + fields(40, func(i int) string {
			return fmt.Sprintf(`effectivePermissions(asOf:"2026-01-01T00:00:%02dZ"){key}`, i)
		}) + "}}}"
	},
	"permissions of members, and their sources": func() string {
		return "{organization(by:" + acme + "){members(first:100){nodes" + same(8, "effectivePermissions{sources{id}}") + "}}}"
	},
	"memberships by 100 permissions": func() string {
		return "{users(first:100){nodes" + fields(100, func(i int) string { return fmt.Sprintf(`memberships(first:1,can:"p%d"){totalCount}`, i) }) + "}}"
	},
	"memberships in 400 ways": func() string {
		return "{users(first:100){nodes" + fields(400, func(i int) string { return fmt.Sprintf(`memberships(first:%d){nodes{id}}`, i%4+1) }) + "}}"
	},
	"checks of members": func() string {
		return "{organization(by:" + acme + "){members(first:100){nodes" + fields(400, func(i int) string { return fmt.Sprintf(`can(permission:"p%d")`, i) }) + "}}}"
	},
	"checks of users": func() string {
		return "{users(first:100){nodes" + fields(400, func(i int) string { return fmt.Sprintf(`can(organization:{code:"o%d"},permission:"p")`, i) }) + "}}"
	},
	"a membership in 400 organizations": func() string {
		return "{users(first:100){nodes" + fields(400, func(i int) string { return fmt.Sprintf(`membership(organization:{code:"o%d"}){id}`, i) }) + "}}"
	},
	"grants that ended": func() string {
		return "{organization(by:" + acme + "){members(first:100){nodes" + same(60, "grants(includeEnded:true){id}") + "}}}"
	},
	"holders of everything": func() string { return "{permissions(first:100){nodes{holders(first:100){totalCount nodes{id}}}}}" },
	"members of every role": func() string { return "{roles(first:100){nodes{members(first:100){totalCount nodes{id}}}}}" },
	"members by permission": func() string {
		return "{organizations(first:100){nodes{members(first:100,filter:{can:\"billing:read\"}){totalCount nodes{id}}}}}"
	},
	"what was changed": func() string {
		return "{changes(last:100){nodes{subject{...on User" + same(10, "memberships{nodes{id}}") + "}}}}"
	},
	"properties of everyone": func() string { return "{users(first:100){nodes" + same(100, "properties") + "}}" },
	"12 matrices of 100 by 100": func() string {
		return same(12, `checkMatrix(organization:`+acme+`,users:[`+strings.Repeat(ada, 100)+`],permissions:[`+strings.Repeat(`"billing:read"`, 100)+`])`)
	},
	"48 explanations": func() string {
		return fields(48, func(i int) string {
			return fmt.Sprintf(`explain(user:%s,organization:%s,permission:"p%d"){allowed obstacles rolesThatWouldAllow{key}}`, ada, acme, i)
		})
	},
	"490 names on a page of 100":         func() string { return "{users(first:100){nodes" + same(490, "name") + "}}" },
	"490 names of members, in fragments": func() string { return manyNames },
	"140 x one name":                     func() string { return "{users(first:100){nodes{" + strings.Repeat("name ", 140) + "}}}" },
	"the whole schema, 4 times":          func() string { return same(4, allTypes) },
	"the whole schema, 5 times":          func() string { return same(5, allTypes) },
	"the whole schema, 6 times":          func() string { return same(6, allTypes) },
	"1000 nodes that are none":           func() string { return `{nodes(ids:[` + strings.Repeat(`"`+anID+`",`, 1000) + `]){id}}` },
	"1000 different nodes": func() string {
		return `{nodes(ids:[` + Each(1000, func(i int) string { return fmt.Sprintf(`"user_01h455vb4pex5vsknk084s%04d"`, i) }) + `]){id}}`
	},
	"a matrix of 100 by 100":        func() string { return matrix(100, 100) },
	"a matrix of 1 by 1000":         func() string { return matrix(1, 1000) },
	"a matrix of 1000 by 1":         func() string { return matrix(1000, 1) },
	"a matrix of 1000 by 1000":      func() string { return matrix(1000, 1000) },
	"members of members":            func() string { return membersOfMembers },
	"members of members of members": func() string { return membersOfMembersOfMembers },
	"100 counts":                    func() string { return same(100, "users{totalCount}") },
	"100 counts of what is searched": func() string {
		return fields(100, func(i int) string { return fmt.Sprintf(`users(filter:{search:"a%d"}){totalCount}`, i) })
	},
	"a search for 200 letters": func() string {
		return `{users(first:100,filter:{search:"` + strings.Repeat("a", 200) + `"}){nodes{id}}}`
	},
	"a search for 250 kB":    func() string { return `{users(filter:{search:"` + strings.Repeat("a", 250_000) + `"}){nodes{id}}}` },
	"a search for wildcards": func() string { return `{users(filter:{search:"` + strings.Repeat("%_", 100) + `"}){nodes{id}}}` },
	"100 searches": func() string {
		return fields(100, func(i int) string { return fmt.Sprintf(`users(first:100,filter:{search:"%d"}){nodes{id}}`, i) })
	},
	"all permissions of everyone": func() string {
		return "{users(first:100){nodes{memberships(first:20){nodes{effectivePermissions{key}}}}}}"
	},
	"changes with all they changed": func() string { return same(15, "changes(last:100){nodes{id before after}}") },
	"100 lists of changes": func() string {
		return fields(100, func(i int) string { return fmt.Sprintf(`changes(first:1,filter:{action:"a%d"}){totalCount}`, i) })
	},
	"cursors of 50 kB": func() string { return same(4, `users(after:"`+strings.Repeat("A", 50_000)+`"){totalCount}`) },
	"250 faults":       func() string { return same(250, `users(first:0){totalCount}`) },
	"250 changes that fail": func() string {
		return "mutation" + same(250, `createUser(input:{email:"no address"}){user{id}}`)
	},
	"250 changes that are undone": func() string {
		return "mutation @dryRun" + fields(250, func(i int) string { return fmt.Sprintf(`createUser(input:{email:"u%d@example.com"}){user{id}}`, i) })
	},
	"3000 grants at once": func() string {
		return `mutation @dryRun{grantRoles(input:{organization:` + acme + `,users:[` + strings.Repeat(`{id:"a"}`, 3000) + `],roles:[{key:"owner"}]}){memberships{id}}}`
	},
}

func matrix(users, permissions int) string {
	return `{checkMatrix(organization:` + acme + `,users:[` + strings.Repeat(ada, users) + `],permissions:[` + strings.Repeat(`"billing:read"`, permissions) + `])}`
}

var manyNames = "{users(first:100){nodes{...f ...g}}} fragment f on User" + same(245, "name") +
	" fragment g on User{" + Each(245, func(i int) string { return fmt.Sprintf("g%d:email ", i) }) + "}"

const (
	membersOfMembers          = `{organization(by:` + acme + `){members{nodes{user{memberships{nodes{organization{members{nodes{user{id}}}}}}}}}}}`
	membersOfMembersOfMembers = `{organizations(first:100){nodes{members(first:100){nodes{user{memberships(first:100){nodes{organization{members(first:100){nodes{user{id}}}}}}}}}}}}`
)

// Grants returns a request of a tenant's administrator: as many grants of the role, to
// all of the users each, as one request may have; nothing comes of them.
func Grants(organization, role string, users []string) Request {
	const fieldsOfAll = 35
	refs := Each(len(users), func(i int) string { return fmt.Sprintf("{id:%q}", users[i]) })
	return Request{"grants", body("mutation @dryRun"+fields(fieldsOfAll, func(int) string {
		return fmt.Sprintf("grantRoles(input:{organization:{code:%q},users:[%s],roles:[{key:%q}]}){memberships{id}}", organization, refs, role)
	}), nil)}
}
