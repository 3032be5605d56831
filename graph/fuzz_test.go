package graph_test

import (
	"strings"
	"testing"

	"roster/db"
	"roster/graph/graphtest"
)

// An id that is read writes itself as it was.
func FuzzID(f *testing.F) {
	for _, text := range []string{"user_01h455vb4pex5vsknk084sn02q", "user_", "org_01h455vb4pex5vsknk084sn02q", "user_81h455vb4pex5vsknk084sn02q", "user_01H455VB4PEX5VSKNK084SN02Q", "",
		"user_01h455vb4pex5vsknk084sn02", "user_01h455vb4pex5vsknk084sn02qq", "user_01h455vb4pex5vsknk084sn0iq", "user__01h455vb4pex5vsknk084sn02q", "\xff", "user_７1h455vb4pex5vsknk084sn02q"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := db.ParseID[db.UserKind](text); err == nil && id.String() != text {
			t.Errorf("%q is %s", text, id)
		}
	})
}

// Whatever comes as an id or a cursor is answered, and never by a fault of the
// server.
func FuzzCursor(f *testing.F) {
	b := graphtest.New(f)
	a := b.Ask(f, `{ users { pageInfo { endCursor } } organizations { pageInfo { endCursor } nodes { id } } }`)
	for _, text := range []string{"", "x", a.Text("organizations.pageInfo.endCursor"), a.Text("organizations.nodes.0.id"), "AAAA", "eyJ2IjoxfQ", strings.Repeat("A", 1000),
		tampered(a.Text("organizations.pageInfo.endCursor"), 0), tampered(a.Text("organizations.pageInfo.endCursor"), 5), "\x00", "+/==", "é"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a := b.As(t, b.Key, `query($text:String!,$id:ID!){organizations(after:$text){nodes{id}} users(before:$text){totalCount} node(id:$id){id}}`, object{"text": text, "id": text})
		if a.Status >= 500 || strings.Contains(a.Codes(), "INTERNAL") {
			t.Errorf("%q: %d %s", text, a.Status, a.Body)
		}
	})
}

// tampered is a cursor with another letter at i.
func tampered(cursor string, i int) string {
	letters := []byte(cursor)
	letters[i] ^= 1
	return string(letters)
}
