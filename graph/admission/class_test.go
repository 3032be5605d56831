package admission

import "testing"

// Operations of memory alone, and operations that end access, have classes of their own.
func TestClassOf(t *testing.T) {
	t.Parallel()
	gate := New(Options{Schema: schema})
	const (
		can     = `can(user:{email:"a"},organization:{code:"b"},permission:"c")`
		suspend = `s:suspendUser(input:{user:{id:"a"}}){user{id}}`
		create  = `c:createPermission(input:{key:"a:b"}){permission{id}}`
	)
	for text, want := range map[string]Class{
		"{" + can + "}": Check,
		"{__typename ...f} fragment f on Query{a:" + can + " ...{b:" + can + "}}": Check,
		"{" + can + " viewer{permissions}}":                                       Query,
		"{" + can + " ...f} fragment f on Query{viewer{permissions}}":             Query,
		"{viewer{permissions}}":                                                   Query,
		"mutation{" + suspend + "}":                                               Ending,
		"mutation{...f} fragment f on Mutation{" + suspend + "}":                  Ending,
		"mutation @dryRun{" + suspend + "}":                                       Mutation,
		"mutation{" + suspend + create + "}":                                      Mutation,
		"mutation{" + suspend + "...f} fragment f on Mutation{" + create + "}":    Mutation,
		"mutation{" + create + "}":                                                Mutation,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			document, err := gate.Admit(text)
			if err != nil {
				t.Fatal(err)
			}
			if class := ClassOf(document.Operation("")); class != want {
				t.Errorf("class %d, want %d", class, want)
			}
		})
	}
}
