package db

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
)

func TestIDIsATypeID(t *testing.T) {
	t.Parallel()
	// The pair is TypeID's own example (its specification, "valid.yml").
	id := UserID(uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057"))
	if got, want := id.String(), "user_01h455vb4pex5vsknk084sn02q"; got != want {
		t.Errorf("text is %s, want %s", got, want)
	}
	back, err := ParseID[UserKind](id.String())
	if err != nil || back != id {
		t.Errorf("read back %v, %v", back, err)
	}
}

func TestIDInJSON(t *testing.T) {
	t.Parallel()
	type holder struct{ User *UserID }
	for _, in := range []holder{{}, {new(NewID[UserKind]())}} {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out holder
		if err := json.Unmarshal(text, &out); err != nil || (in.User == nil) != (out.User == nil) || in.User != nil && *in.User != *out.User {
			t.Errorf("%s was read as %v, %v", text, out.User, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"User": "org_01h455vb4pex5vsknk084sn02q"}`), &holder{}); err == nil {
		t.Error("the id of an organization was read as a user's")
	}
}

func TestParseIDIsStrict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "user", "user_", "org_01h455vb4pex5vsknk084sn02q", "user_81h455vb4pex5vsknk084sn02q",
		"user_01h455vb4pex5vsknk084sn02Q", "user_01h455vb4pex5vsknk084sn02qq", "user_01h455vb4pex5vsknk084sn02u",
		"user-01h455vb4pex5vsknk084sn02q", "user_01h455vb4pex5vsknk084sn02\x00",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if id, err := ParseID[UserKind](text); err == nil {
				t.Errorf("%q was read as %v", text, id)
			}
		})
	}
}

func TestIDsScan(t *testing.T) {
	t.Parallel()
	a, b := NewID[RoleKind](), NewID[RoleKind]()
	var got IDs[RoleKind]
	text := "{" + uuid.UUID(a).String() + "," + uuid.UUID(b).String() + "}"
	if err := got.Scan(text); err != nil || len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("%v, %v", got, err)
	}
	if err := got.Scan("{}"); err != nil || len(got) != 0 {
		t.Errorf("empty: %v, %v", got, err)
	}
	if err := got.Scan("{" + uuid.UUID(a).String()[1:] + "}"); err == nil {
		t.Error("a damaged array was read")
	}
}
