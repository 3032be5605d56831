package hostile

import (
	"fmt"
	"strings"
)

// documents are documents that took gqlgen's limits, gqlparser's rules or other
// servers down, and the worst that the limits of admission still admit.
var documents = map[string]func() string{
	// The square of one response name (OverlappingFieldsCanBeMerged).
	"typename x1000":         func() string { return "{" + strings.Repeat("__typename ", 1000) + "}" },
	"typename x10000":        func() string { return "{" + strings.Repeat("__typename ", 10_000) + "}" },
	"repeated object x14900": func() string { return "{" + strings.Repeat("viewer{__typename}", 14_900) + "}" },
	"repeated object x200":   func() string { return "{" + strings.Repeat("viewer{__typename}", 200) + "}" },
	"repeated object x100":   func() string { return "{" + strings.Repeat("viewer{__typename}", 100) + "}" },
	"repeats x100 below ten fields": func() string {
		return "{" + Each(10, func(i int) string { return fmt.Sprintf("a%d:users{%s}", i, strings.Repeat("totalCount ", 100)) }) + "}"
	},
	"repeats with long arguments": func() string {
		return "{" + strings.Repeat(`nodes(ids:[`+strings.Repeat(`"a",`, 90)+`]){id}`, 100) + "}"
	},
	"repeats with a long text": func() string { return "{" + strings.Repeat(`node(id:"`+strings.Repeat("a", 2000)+`"){id}`, 100) + "}" },
	"repeats in inline fragments": func() string {
		return "{" + strings.Repeat("...{viewer{__typename}", 20) + strings.Repeat(" viewer{__typename}", 100) + strings.Repeat("}", 20) + "}"
	},
	"repeats at every level": func() string { return "{" + nested(12, "a:node(id:1){", "a:node(id:1){", "id", "}") + "}" },
	"doubled at every level": func() string { return doubled(16) },
	"repeats through fragments": func() string {
		return "{" + strings.Repeat("...f ", 500) + "} fragment f on Query{" + strings.Repeat("__typename ", 10) + "}"
	},
	"repeats through many fragments": func() string {
		return "{" + spreads(0, 150) + "}" + fragments(150, func(int) string { return "__typename viewer{__typename}" })
	},
	"fragments compared in pairs": func() string { return "{...a0 ...b0}" + chain("a", 90, "__typename") + chain("b", 90, "__typename") },
	"conflicts x200": func() string {
		return "{" + Each(200, func(i int) string { return fmt.Sprintf("a:node(id:%d){id}", i) }) + "}"
	},
	"conflicts x100": func() string {
		return "{" + Each(100, func(i int) string { return fmt.Sprintf("a:node(id:%d){id}", i) }) + "}"
	},
	"shapes that conflict, ten deep": func() string {
		return "{" + strings.Repeat(nested(1, "a:users{a:nodes{", "", "a:id", "}}"), 50) + strings.Repeat("a:roles{a:nodes{a:key}}", 50) + "}"
	},

	"repeats x100, in two places": func() string {
		return "{" + Each(2, func(i int) string { return fmt.Sprintf("a%d:users{%s}", i, strings.Repeat("totalCount ", 99)) }) + "}"
	},
	"conflicts x60": func() string {
		return "{" + Each(60, func(i int) string { return fmt.Sprintf("a:node(id:%d){id}", i) }) + "}"
	},
	"shapes that conflict, 30 x 8": func() string {
		return "{" + Each(30, func(i int) string {
			return "users{" + Each(8, func(j int) string { return fmt.Sprintf("a%d:%s ", j, []string{"totalCount", "__typename"}[i%2]) }) + "}"
		}) + "}"
	},

	// Fragments that grow exponentially (ComplexityLimit).
	"fragment bomb, 27 of 2":  func() string { return bomb(27, 2) },
	"fragment bomb, 60 of 2":  func() string { return bomb(60, 2) },
	"fragment bomb, 190 of 2": func() string { return bomb(190, 2) },
	"fragment bomb, 6 of 100": func() string { return bomb(6, 100) },
	"fragment bomb with fields": func() string {
		return "{...f0}" + fragments(30, func(i int) string { return fmt.Sprintf("a:viewer{...f%d} b:viewer{...f%d}", i+1, i+1) }) + "fragment f30 on Viewer{__typename}"
	},
	"fragment bomb without operation": func() string { return strings.TrimPrefix(bomb(27, 2), "{...f0}") },
	"fragments in a circle":           func() string { return "{...f0} fragment f0 on Query{...f1} fragment f1 on Query{...f0}" },
	"fragment in itself":              func() string { return "{...f} fragment f on Query{__typename ...f}" },
	"fragment in itself, deeper":      func() string { return "{...f} fragment f on Query{viewer{...{...f}}}" },
	"circle of 200 fragments": func() string {
		return "{...f0}" + fragments(200, func(i int) string { return fmt.Sprintf("...f%d", (i+1)%200) })
	},
	"every fragment spreads all": func() string {
		return "{...f0}" + fragments(60, func(i int) string { return spreads(i+1, 60) + "__typename" })
	},
	"every fragment in every other": func() string { return "{...f0}" + fragments(60, func(int) string { return spreads(0, 60) }) },
	"chain of 200 fragments":        func() string { return "{...f0}" + chain("f", 199, "__typename") },
	"chain of 2000 fragments":       func() string { return "{...f0}" + chain("f", 2000, "__typename") },
	"chain of long fragments": func() string {
		return "{...f0}" + chain("f", 45, Each(90, func(i int) string { return fmt.Sprintf("v%d:__typename ", i) }))
	},
	"2000 fragments that nobody uses": func() string { return "{__typename}" + fragments(2000, func(int) string { return "__typename" }) },
	"200 fragments that nobody uses":  func() string { return "{__typename}" + fragments(199, func(int) string { return "__typename" }) },
	"fragments of one name":           func() string { return "{...f}" + strings.Repeat("fragment f on Query{__typename}", 199) },
	"unknown fragments":               func() string { return "{" + Each(2000, func(i int) string { return fmt.Sprintf("...x%d ", i) }) + "}" },

	// Depth.
	"depth 24": func() string {
		return "{" + strings.Repeat("users{nodes{memberships{nodes{user{", 4) + "id" + strings.Repeat("}", 20) + "}"
	},
	"depth 500":                  func() string { return "{" + nested(500, "viewer{", "", "id", "}") + "}" },
	"depth 5000":                 func() string { return "{" + nested(5000, "a{", "", "a", "}") + "}" },
	"depth 100000, never closed": func() string { return strings.Repeat("{a", 100_000) },
	"inline fragments 900 deep":  func() string { return "{" + nested(900, "...{", "", "__typename", "}") + "}" },
	"lists 900 deep":             func() string { return "{nodes(ids:" + strings.Repeat("[", 900) + strings.Repeat("]", 900) + "){id}}" },
	"lists 30 deep":              func() string { return "{nodes(ids:" + strings.Repeat("[", 30) + strings.Repeat("]", 30) + "){id}}" },
	"lists 100000 deep":          func() string { return "{nodes(ids:" + strings.Repeat("[", 100_000) },
	"objects 900 deep":           func() string { return "{user(by:" + nested(900, "{id:", "", "1", "}") + "){id}}" },
	"types 900 deep": func() string {
		return "query($a:" + strings.Repeat("[", 900) + "Int" + strings.Repeat("]", 900) + "){__typename}"
	},
	"depth by a circle of types": func() string { return "{users{nodes{" + nested(8, "memberships{nodes{user{", "", "id", "}}}") + "}}}" },

	// Width.
	"aliases x1000": func() string {
		return "{" + Each(1000, func(i int) string { return fmt.Sprintf("a%d:__typename ", i) }) + "}"
	},
	"aliases x100": func() string {
		return "{" + Each(100, func(i int) string { return fmt.Sprintf("a%d:viewer{__typename}", i) }) + "}"
	},
	"aliases of checks x100": func() string {
		return "{" + Each(100, func(i int) string {
			return fmt.Sprintf(`a%d:can(user:{email:"a"},organization:{code:"b"},permission:"c")`, i)
		}) + "}"
	},
	"aliases x500 below ten fields": func() string {
		return "{" + Each(10, func(i int) string {
			return fmt.Sprintf("b%d:users{nodes{%s}}", i, Each(490, func(i int) string { return fmt.Sprintf("a%d:id ", i) }))
		}) + "}"
	},
	"aliases x490 on a page of 100": func() string {
		return "{users(first:100){nodes{" + Each(490, func(i int) string { return fmt.Sprintf("a%d:name ", i) }) + "}}}"
	},
	"one alias of 200 kB":   func() string { return "{" + strings.Repeat("a", 200_000) + ":__typename}" },
	"unknown fields x20000": func() string { return "{" + Each(20_000, func(i int) string { return fmt.Sprintf("x%d ", i) }) + "}" },
	"unknown fields x100, long": func() string {
		return "{" + Each(100, func(i int) string { return strings.Repeat("x", 120) + fmt.Sprint(i, " ") }) + "}"
	},
	"unknown arguments x5000": func() string {
		return "{users(" + Each(5000, func(i int) string { return fmt.Sprintf("x%d:1 ", i) }) + "){totalCount}}"
	},
	"unknown directives x5000": func() string {
		return "{__typename " + Each(5000, func(i int) string { return fmt.Sprintf("@x%d ", i) }) + "}"
	},
	"one directive x400": func() string { return "{__typename " + strings.Repeat("@skip(if:false)", 400) + "}" },
	"directives on everything": func() string {
		return "{" + strings.Repeat("viewer@skip(if:true)@include(if:false){__typename@skip(if:true)}", 90) + "}"
	},
	"variables x5000": func() string {
		return "query(" + Each(5000, func(i int) string { return fmt.Sprintf("$v%d:Int ", i) }) + "){__typename}"
	},
	"variables x450, all used": func() string {
		return "query(" + Each(450, func(i int) string { return fmt.Sprintf("$v%d:ID! ", i) }) + "){nodes(ids:[" + strings.Repeat(Each(450, func(i int) string { return fmt.Sprintf("$v%d ", i) }), 10) + "]){id}}"
	},
	"one variable x400": func() string { return "query(" + strings.Repeat("$v:Int ", 400) + "){users(first:$v){totalCount}}" },
	"operations x5000": func() string {
		return Each(5000, func(i int) string { return fmt.Sprintf("query q%d{__typename}", i) })
	},
	"operations with one fragment": func() string {
		return Each(49, func(i int) string { return fmt.Sprintf("query q%d{...f}", i) }) + "fragment f on Query{" + Each(99, func(i int) string { return fmt.Sprintf("a%d:__typename ", i) }) + "}"
	},
	"anonymous operations x50": func() string { return strings.Repeat("{__typename}", 50) },
	"mutations x1000": func() string {
		return "mutation{" + Each(1000, func(i int) string { return fmt.Sprintf(`a%d:deleteUser(input:{user:{email:"a"}}){deletedIds}`, i) }) + "}"
	},
	"a list of 19000 numbers": func() string { return "{nodes(ids:[" + strings.Repeat("1,", 19_000) + "]){id}}" },
	"a list of 19000 texts":   func() string { return "{nodes(ids:[" + strings.Repeat(`"a",`, 19_000) + "]){id}}" },
	"an object of 4000 fields": func() string {
		return "{user(by:{" + Each(4000, func(i int) string { return fmt.Sprintf("a%d:1 ", i) }) + "}){id}}"
	},
	"one field of an object x4000": func() string { return "{user(by:{" + strings.Repeat("id:1 ", 4000) + "}){id}}" },
	"one argument x4000":           func() string { return "{user(" + strings.Repeat("by:{id:1} ", 4000) + "){id}}" },

	// Cost.
	"lists in lists": func() string {
		return "{users(first:100){nodes{memberships(first:100){nodes{organization{members(first:100){nodes{user{id}}}}}}}}}"
	},
	"matrix of 1000 by 1000": func() string {
		return `{checkMatrix(organization:{code:"a"},users:[` + strings.Repeat(`{email:"a"}`, 1000) + "],permissions:[" + strings.Repeat(`"a"`, 1000) + "])}"
	},
	"introspection x100": func() string {
		return "{" + Each(100, func(i int) string { return fmt.Sprintf("a%d:__schema{types{fields{args{type{name}}}}}", i) }) + "}"
	},
	"introspection in a circle": func() string { return "{__schema{types{" + nested(6, "fields{type{", "", "name", "}}") + "}}}" },
	"introspection through fragments": func() string {
		return "{__schema{types{...f0}}}" + chainOn("__Type", "f", 20, "ofType{name}", "ofType{...%s}")
	},

	// Text.
	"256 KiB of comments":         func() string { return "{__typename " + strings.Repeat("#\n", 130_000) + "}" },
	"one comment of 250 kB":       func() string { return "{__typename #" + strings.Repeat("x", 250_000) + "\n}" },
	"256 KiB of commas":           func() string { return "{__typename " + strings.Repeat(",", 262_000) + "}" },
	"256 KiB of marks":            func() string { return strings.Repeat("\uFEFF", 87_000) + "{__typename}" },
	"256 KiB of braces":           func() string { return strings.Repeat("{}", 131_000) },
	"1 MiB":                       func() string { return strings.Repeat("{__typename}", 90_000) },
	"a text of 250 kB":            func() string { return `{node(id:"` + strings.Repeat("a", 250_000) + `"){id}}` },
	"a text of escapes":           func() string { return `{node(id:"` + strings.Repeat(`\u0041`, 40_000) + `"){id}}` },
	"a block of 120000 lines":     func() string { return `{node(id:"""` + strings.Repeat("\n a", 80_000) + `"""){id}}` },
	"a block of quotes":           func() string { return `{node(id:"""` + strings.Repeat(`\"""`, 60_000) + `"""){id}}` },
	"a text that never ends":      func() string { return `{node(id:"` + strings.Repeat("a", 250_000) },
	"a number of 250 kB":          func() string { return "{users(first:" + strings.Repeat("9", 250_000) + "){totalCount}}" },
	"a bad escape before 250 kB":  func() string { return `{node(id:"\q` + strings.Repeat("secret", 40_000) + `"){id}}` },
	"descriptions":                func() string { return strings.Repeat(`"a" `, 19_000) + "{__typename}" },
	"nothing":                     func() string { return "" },
	"nothing but a fragment":      func() string { return "fragment f on Query{__typename}" },
	"a subscription of fragments": func() string { return "subscription" + bomb(27, 2) },
	"a schema":                    func() string { return strings.Repeat("type A{a:Int}", 2000) },
}
