// Package row holds the Go types behind the objects of the test schema, as package
// db does for the real schema. They cover every way in which a type can become JSON:
// by its kind, by AppendJSON, by MarshalGQL, and by a function of this package.
package row

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// ID is an id whose type says which kind of object it names, like the ids of package
// db.
type ID[K any] struct{ N int }

// The kinds of ids.
type (
	// UserKind is the kind of the ids of users.
	UserKind struct{}
	// TeamKind is the kind of the ids of teams.
	TeamKind struct{}
)

// The ids.
type (
	// UserID is the id of a user.
	UserID = ID[UserKind]
	// TeamID is the id of a team.
	TeamID = ID[TeamKind]
)

// AppendJSON appends the id as a JSON string.
func (id ID[K]) AppendJSON(b []byte) []byte {
	return append(strconv.AppendInt(append(b, '"'), int64(id.N), 10), '"')
}

// MarshalGQL writes the id for gqlgen's executor.
func (id ID[K]) MarshalGQL(w io.Writer) { _, _ = w.Write(id.AppendJSON(nil)) }

// UnmarshalGQL reads the output of AppendJSON.
func (id *ID[K]) UnmarshalGQL(v any) (err error) {
	text, _ := v.(string)
	id.N, err = strconv.Atoi(text)
	return err
}

// Stamp is a scalar with AppendJSON but without MarshalGQL.
type Stamp int

// AppendJSON appends the number as a JSON string.
func (s Stamp) AppendJSON(b []byte) []byte {
	return append(strconv.AppendInt(append(b, '"'), int64(s), 10), '"')
}

// Blob is a scalar with MarshalGQL but without AppendJSON.
type Blob struct{ Text string }

// MarshalGQL writes the text.
func (b Blob) MarshalGQL(w io.Writer) { graphql.MarshalString(b.Text).MarshalGQL(w) }

// UnmarshalGQL reads the text.
func (b *Blob) UnmarshalGQL(v any) error {
	b.Text, _ = v.(string)
	return nil
}

// MarshalDateTime writes the same as package execute, for gqlgen's executor.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.MarshalString(t.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

// UnmarshalDateTime reads RFC 3339.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, _ := v.(string)
	return time.Parse(time.RFC3339, text)
}

// Color is an enum of strings without methods.
type Color string

// The abstract types.
type (
	// Node is an interface of the schema.
	Node interface{ isNode() }
	// Named is an interface of the schema.
	Named interface{ isNamed() }
	// Result is a union of the schema.
	Result interface{ isResult() }
)

// User is the object of most tests.
type User struct {
	ID        UserID
	Name      string
	Nick      *string
	Email     *string
	Color     Color
	Age       int32
	Score     *float64
	CreatedAt time.Time
	SeenAt    *time.Time
	Blob      *Blob
	Raw       json.RawMessage
	Stamps    []Stamp
	Tags      []string
	Hints     []*string
	Marks     [][]int
	Address   *Address
	Addresses []Address
}

// Greeting is a method with arguments.
func (u *User) Greeting(to string, loud *bool) string {
	if loud != nil && *loud {
		to += "!"
	}
	return u.Name + " greets " + to
}

// Checked is a method that fails for every third user.
func (u *User) Checked() (string, error) {
	if u.ID.N%3 == 0 {
		return "", errors.New("check failed for " + u.Name)
	}
	return "fine", nil
}

// Address is held by a pointer in one field, and by value in another.
type Address struct {
	Street string
	City   *string
	Zip    *Zip
}

// Zip is nil in some addresses, against the schema.
type Zip struct{ Code string }

// Team has members.
type Team struct {
	ID   TeamID
	Name string
}

// Motto is a method with a pointer receiver.
func (t *Team) Motto() *string {
	if t.ID.N%2 == 0 {
		return nil
	}
	motto := "“" + t.Name + "”\n\t\x01 first"
	return &motto
}

// Robot is held by value in interfaces.
type Robot struct {
	Name  string
	Model int
}

func (*User) isNode()   {}
func (*User) isNamed()  {}
func (*User) isResult() {}
func (*Team) isNode()   {}
func (*Team) isNamed()  {}
func (*Team) isResult() {}
func (Robot) isNamed()  {}
func (Robot) isResult() {}
