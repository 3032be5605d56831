package hostile

import (
	"fmt"
	"strings"
)

const aUser = "query($by:UserRef!){user(by:$by){id}}"

// bodies harm by what is around the document: JSON, and variables.
var bodies = map[string]func() string{
	"4 MiB of numbers":    func() string { return "[" + strings.Repeat("1,", 2<<20-2) + "1]" },
	"4 MiB of lists":      func() string { return "[" + strings.Repeat("[],", 1<<20+1<<18) + "1]" },
	"4 MiB of brackets":   func() string { return strings.Repeat("[", 4<<20) },
	"4 MiB of names":      func() string { return "{" + strings.Repeat(`"a":1,`, 600_000) + `"b":1}` },
	"4 MiB of escapes":    func() string { return `{"query":"` + strings.Repeat(`\n`, 2<<20-20) + `"}` },
	"4 MiB of surrogates": func() string { return `{"query":"` + strings.Repeat(`\ud83d\ude00`, 340_000) + `"}` },
	"4 MiB of spaces":     func() string { return strings.Repeat(" ", 4<<20-20) + "{}" },
	"5 MiB":               func() string { return `{"query":"` + strings.Repeat("a", 5<<20) + `"}` },
	"4 MiB of variables":  func() string { return withVariables("{__typename}", `{"a":"`+strings.Repeat("a", 4_000_000)+`"}`) },
	"an operation of 4 MiB": func() string {
		return `{"query":"{__typename}","operationName":"` + strings.Repeat("a", 4_000_000) + `"}`
	},
	"an extension of 4 MiB": func() string {
		return `{"query":"{__typename}","extensions":{"a":"` + strings.Repeat("a", 4_000_000) + `"}}`
	},
	"an id of 4 MiB": func() string { return `{"documentId":"` + strings.Repeat("a", 4_000_000) + `"}` },
	"a number of 4 MiB": func() string {
		return withVariables("query($a:Int){users(first:$a){totalCount}}", `{"a":1`+strings.Repeat("0", 4_000_000)+`}`)
	},
	"a number of 10^999999999": func() string { return withVariables("query($a:Int){users(first:$a){totalCount}}", `{"a":1e999999999}`) },
	"a name twice, at the end": func() string {
		return withVariables("{__typename}", "{"+Each(29_000, func(i int) string { return fmt.Sprintf(`"a%d":1,`, i) })+`"a0":1}`)
	},
	"29000 variables": func() string {
		return withVariables("{__typename}", "{"+Each(29_000, func(i int) string { return fmt.Sprintf(`"a%d":1,`, i) })+`"a":1}`)
	},
	"29000 ids": func() string {
		return withVariables("query($a:[ID!]!){nodes(ids:$a){id}}", `{"a":[`+strings.Repeat(`"`+anID+`",`, 29_000)+`"a"]}`)
	},
	"1000 ids in 100 lists": func() string {
		return withVariables("query($a:[ID!]!)"+same(100, "nodes(ids:$a){id}"), `{"a":[`+strings.Repeat(`"`+anID+`",`, 999)+`"a"]}`)
	},
	"1000 checks": func() string {
		return withVariables("query($a:[CheckInput!]!){checks(input:$a)}", `{"a":[`+strings.Repeat(aCheck+",", 999)+aCheck+`]}`)
	},
	"1000 checks in 100 fields": func() string {
		return withVariables("query($a:[CheckInput!]!)"+same(100, "checks(input:$a)"), `{"a":[`+strings.Repeat(aCheck+",", 999)+aCheck+`]}`)
	},
	"4000 checks of nobody": func() string {
		return withVariables("query($a:[CheckInput!]!){checks(input:$a)}", `{"a":[`+strings.Repeat(`{"user":{},"organization":{},"permission":""},`, 4000)+`{}]}`)
	},
	"9000 faults in one variable": func() string {
		return withVariables("query($a:[UserRef!]!,$b:[String!]!){checkMatrix(organization:{},users:$a,permissions:$b)}",
			`{"a":[`+strings.Repeat(`{"x":1},`, 9000)+`7],"b":[`+strings.Repeat("7,", 9000)+"7]}")
	},
	"a variable 60 deep": func() string {
		return withVariables("query($a:UserRef!){user(by:$a){id}}", `{"a":`+strings.Repeat(`{"id":`, 60)+"1"+strings.Repeat("}", 60)+"}")
	},
	"a variable 60 deep in lists": func() string {
		return withVariables("query($a:[ID!]!){nodes(ids:$a){id}}", `{"a":`+strings.Repeat("[", 60)+strings.Repeat("]", 60)+"}")
	},
	"240 variables of lists": func() string {
		return withVariables("query("+Each(240, func(i int) string { return fmt.Sprintf("$v%d:[ID!]! ", i) })+")"+
			fields(240, func(i int) string { return fmt.Sprintf("nodes(ids:$v%d){id}", i) }),
			"{"+Each(239, func(i int) string { return fmt.Sprintf(`"v%d":["a"],`, i) })+`"v239":["a"]}`)
	},
	"a choice of two":     func() string { return withVariables(aUser, `{"by":{"id":"a","email":"b"}}`) },
	"a choice of none":    func() string { return withVariables(aUser, `{"by":{}}`) },
	"a choice of null":    func() string { return withVariables(aUser, `{"by":{"email":null}}`) },
	"a number for a text": func() string { return withVariables(aUser, `{"by":{"email":7}}`) },
	"a text for a number": func() string { return withVariables("query($a:Int){users(first:$a){totalCount}}", `{"a":"7"}`) },
	"a number of 33 bits": func() string { return withVariables("query($a:Int){users(first:$a){totalCount}}", `{"a":2147483648}`) },
	"a NUL in a text":     func() string { return withVariables(aUser, `{"by":{"email":"a\u0000b"}}`) },
	"a batch of 10000": func() string {
		return "[" + strings.Repeat(`{"query":"{__typename}"},`, 9999) + `{"query":"{__typename}"}]`
	},
	"no JSON":         func() string { return "query={__typename}" },
	"no text":         func() string { return "{\"query\":\"{__typename}\xff\"}" },
	"half surrogates": func() string { return `{"query":"` + strings.Repeat(`\ud83d`, 600_000) + `"}` },
}
