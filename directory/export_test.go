package directory

import (
	"strings"

	"roster/db"
	"roster/impact"
	"roster/problem"
)

// A page of an impact is mostly read by one statement, all roles of a permission
// side by side, and all members of an organization leave it together; in the small
// worlds of tests, mostly not.
func init() {
	impact.SetBatch(3)
	mostMerged = 2
	leaving = 2
}

// SetMostMerged sets how many roles are read side by side, and returns how many
// they were.
func SetMostMerged(n int) (before int) {
	before, mostMerged = mostMerged, n
	return before
}

// SetLeaving sets how many members leave an organization at a time, and returns how many
// they were.
func SetLeaving(n int) (before int) {
	before, leaving = leaving, n
	return before
}

// NameKinds judges a name of each kind: it returns the form in which it is
// compared, and whether it may be one.
var NameKinds = map[string]func(text string) (key string, ok bool){
	"email":      func(text string) (string, bool) { return JudgeEmail(text + "@acme.example") },
	"username":   judge((*faults).username, db.Fold),
	"externalId": judge(ofExternalID, db.Fold),
	"name":       judge(func(f *faults, field string, value *string) *string { return new(f.name(field, *value)) }, db.Fold),
	"code":       judge(func(f *faults, field string, value *string) *string { return new(f.code(field, value)) }, strings.Clone),
	"key":        judge(func(f *faults, field string, value *string) *string { return new(f.key(field, *value)) }, strings.Clone),
	"domain": func(text string) (string, bool) {
		f := faults{&problem.List{}}
		domains := f.domains("x", []string{text + ".example"})
		return domains[0], len(*f.List) == 0
	},
}

// JudgeEmail is the judge of whole addresses.
func JudgeEmail(text string) (key string, ok bool) { return judge((*faults).email, db.EmailKey)(text) }

func ofExternalID(f *faults, field string, value *string) *string {
	return f.identifier(field, value, maxExternalID)
}

func judge(check func(f *faults, field string, value *string) *string, fold func(string) string) func(string) (string, bool) {
	return func(text string) (string, bool) {
		f := faults{&problem.List{}}
		clean := check(&f, "x", &text)
		return fold(textValue(clean)), len(*f.List) == 0
	}
}
