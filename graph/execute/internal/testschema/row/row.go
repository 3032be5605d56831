// Package row has the types behind the test schema, as package db has those
// behind the real one.
package row

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// ID is an id which knows in its type what it names, as the real ones do.
type ID[K any] struct{ N int }

// UserKind and TeamKind tell the ids apart.
type (
	UserKind struct{}
	TeamKind struct{}
)

// UserID and TeamID are the ids there are.
type (
	UserID = ID[UserKind]
	TeamID = ID[TeamKind]
)

// AppendJSON appends the id as a JSON string.
func (id ID[K]) AppendJSON(b []byte) []byte {
	return append(strconv.AppendInt(append(b, '"'), int64(id.N), 10), '"')
}

// MarshalGQL writes the id for gqlgen's executor.
func (id ID[K]) MarshalGQL(w io.Writer) { _, _ = w.Write(id.AppendJSON(nil)) }

// UnmarshalGQL reads what AppendJSON wrote.
func (id *ID[K]) UnmarshalGQL(v any) (err error) {
	text, _ := v.(string)
	id.N, err = strconv.Atoi(text)
	return err
}

// Stamp appends its own JSON, and does no more.
type Stamp int

// AppendJSON appends the number as a JSON string.
func (s Stamp) AppendJSON(b []byte) []byte {
	return append(strconv.AppendInt(append(b, '"'), int64(s), 10), '"')
}

// Blob is a scalar without a faster way to JSON.
type Blob struct{ Text string }

// MarshalGQL writes the text.
func (b Blob) MarshalGQL(w io.Writer) { graphql.MarshalString(b.Text).MarshalGQL(w) }

// UnmarshalGQL reads the text.
func (b *Blob) UnmarshalGQL(v any) error {
	b.Text, _ = v.(string)
	return nil
}

// MarshalDateTime writes what package execute writes, for gqlgen's executor.
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

// Node, Named and Result are the abstract types.
type (
	Node   interface{ isNode() }
	Named  interface{ isNamed() }
	Result interface{ isResult() }
)

// User is what most tests are about.
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

// Checked is a method which fails for every third user.
func (u *User) Checked() (string, error) {
	if u.ID.N%3 == 0 {
		return "", errors.New("check failed for " + u.Name)
	}
	return "fine", nil
}

// Address is held both by a pointer and as a value.
type Address struct {
	Street string
	City   *string
	Zip    *Zip
}

// Zip is missing from some addresses, against the schema.
type Zip struct{ Code string }

// Team has members.
type Team struct {
	ID   TeamID
	Name string
}

// Motto is a method on the pointer.
func (t *Team) Motto() *string {
	if t.ID.N%2 == 0 {
		return nil
	}
	motto := "“" + t.Name + "”\n\t\x01 first"
	return &motto
}

// Robot is in abstract types as a value.
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
