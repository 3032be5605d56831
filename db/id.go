package db

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// ID is a TypeID (https://github.com/jetify-com/typeid, version 0.3): a UUIDv7 whose
// text form begins with the kind of object that it identifies, such as
// user_01h455vb4pex5vsknk084sn02q. Ids of one kind sort by time of creation.
// The kind is part of the Go type, so that the compiler refuses a user's id in
// place of an organization's.
type ID[K Kind] uuid.UUID

// Kind is a kind of object. Prefix returns the part of its ids before the "_".
type Kind interface{ Prefix() string }

// The kinds of objects that have ids.
type (
	UserKind         struct{}
	OrganizationKind struct{}
	MembershipKind   struct{}
	RoleKind         struct{}
	PermissionKind   struct{}
	APIKeyKind       struct{}
	GrantKind        struct{}
	ChangeKind       struct{}
	SessionKind      struct{}
	SignInKind       struct{}
	FlowKind         struct{}
	IdentityKind     struct{}
	InvitationKind   struct{}
	ProviderKind     struct{}
	ImportKind       struct{}

	ClientKind            struct{}
	AuthorizationCodeKind struct{}
)

// The ids of each kind.
type (
	UserID         = ID[UserKind]
	OrganizationID = ID[OrganizationKind]
	MembershipID   = ID[MembershipKind]
	RoleID         = ID[RoleKind]
	PermissionID   = ID[PermissionKind]
	APIKeyID       = ID[APIKeyKind]
	GrantID        = ID[GrantKind]
	ChangeID       = ID[ChangeKind]
	SessionID      = ID[SessionKind]
	SignInID       = ID[SignInKind]
	FlowID         = ID[FlowKind]
	IdentityID     = ID[IdentityKind]
	InvitationID   = ID[InvitationKind]
	ProviderID     = ID[ProviderKind]
	ImportID       = ID[ImportKind]

	ApplicationID       = ID[ClientKind]
	AuthorizationCodeID = ID[AuthorizationCodeKind]
)

// Prefix returns "user".
func (UserKind) Prefix() string { return "user" }

// Prefix returns "org".
func (OrganizationKind) Prefix() string { return "org" }

// Prefix returns "member".
func (MembershipKind) Prefix() string { return "member" }

// Prefix returns "role".
func (RoleKind) Prefix() string { return "role" }

// Prefix returns "perm".
func (PermissionKind) Prefix() string { return "perm" }

// Prefix returns "key".
func (APIKeyKind) Prefix() string { return "key" }

// Prefix returns "grant".
func (GrantKind) Prefix() string { return "grant" }

// Prefix returns "change".
func (ChangeKind) Prefix() string { return "change" }

// Prefix returns "session".
func (SessionKind) Prefix() string { return "session" }

// Prefix returns "signin".
func (SignInKind) Prefix() string { return "signin" }

// Prefix returns "flow".
func (FlowKind) Prefix() string { return "flow" }

// Prefix returns "identity".
func (IdentityKind) Prefix() string { return "identity" }

// Prefix returns "invitation".
func (InvitationKind) Prefix() string { return "invitation" }

// Prefix returns "provider".
func (ProviderKind) Prefix() string { return "provider" }

// Prefix returns "import".
func (ImportKind) Prefix() string { return "import" }

// Prefix returns "app".
func (ClientKind) Prefix() string { return "app" }

// Prefix returns "authorization".
func (AuthorizationCodeKind) Prefix() string { return "authorization" }

// NewID returns a new id, which sorts after all earlier ids of this process.
func NewID[K Kind]() ID[K] {
	return ID[K](uuid.Must(uuid.NewV7()))
}

var errNotAnID = errors.New("not an id of this kind")

// ParseID parses the text form. It accepts exactly the strings that String returns.
func ParseID[K Kind](text string) (ID[K], error) {
	var kind K
	prefix := kind.Prefix()
	if len(text) != len(prefix)+1+suffixLength || text[:len(prefix)] != prefix || text[len(prefix)] != '_' {
		return ID[K]{}, errNotAnID
	}
	id, err := decodeSuffix(text[len(prefix)+1:])
	return ID[K](id), err
}

// String returns the text form: prefix, "_" and 26 characters.
func (id ID[K]) String() string { return string(id.Append(nil)) }

// Append appends the text form to b.
func (id ID[K]) Append(b []byte) []byte {
	var kind K
	b = append(b, kind.Prefix()...)
	b = append(b, '_')
	return appendSuffix(b, id)
}

// AppendJSON appends the text form as a JSON string to b.
func (id ID[K]) AppendJSON(b []byte) []byte {
	b = append(b, '"')
	b = id.Append(b)
	return append(b, '"')
}

// MarshalText returns the text form.
func (id ID[K]) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText reads what MarshalText has written.
func (id *ID[K]) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID[K](string(text))
	return err
}

// IsZero reports whether the id is not set.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

// Value returns the UUID in its own text form, as the database stores it.
func (id ID[K]) Value() (driver.Value, error) { return uuid.UUID(id).String(), nil }

// Scan reads a UUID from the database.
func (id *ID[K]) Scan(src any) error { return (*uuid.UUID)(id).Scan(src) }

// UUIDValue lets pgx send ids in binary, alone and in arrays.
func (id ID[K]) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: id, Valid: true}, nil
}

// ScanUUID lets pgx read ids in binary.
func (id *ID[K]) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return errors.New("an id that is null")
	}
	*id = v.Bytes
	return nil
}

// IDs is a list of ids as PostgreSQL's uuid[].
type IDs[K Kind] []ID[K]

// Scan reads PostgreSQL's text form of uuid[].
func (ids *IDs[K]) Scan(src any) error {
	var text string
	switch src := src.(type) {
	case nil:
		*ids = nil
		return nil
	case string:
		text = src
	case []byte:
		text = string(src)
	default:
		return fmt.Errorf("uuid[] from %T", src)
	}
	const width = 37 // 36 characters and a comma or brace
	if len(text) < 2 || (len(text) > 2 && (len(text)-1)%width != 0) {
		return fmt.Errorf("not a uuid[]: %q", text)
	}
	*ids = make(IDs[K], 0, (len(text)-1)/width)
	for text = text[1:]; len(text) >= width; text = text[width:] {
		id, err := uuid.Parse(text[:width-1])
		if err != nil {
			return err
		}
		*ids = append(*ids, ID[K](id))
	}
	return nil
}

// SetDimensions makes room for the ids that pgx is going to read.
func (ids *IDs[K]) SetDimensions(dimensions []pgtype.ArrayDimension) error {
	switch len(dimensions) {
	case 0:
		*ids = nil
	case 1:
		*ids = make(IDs[K], dimensions[0].Length)
	default:
		return errors.New("uuid[] of several dimensions")
	}
	return nil
}

// ScanIndex returns the pointer that pgx reads the i-th id into.
func (ids *IDs[K]) ScanIndex(i int) any { return &(*ids)[i] }

// ScanIndexType returns a value that pgx can read an id into.
func (ids *IDs[K]) ScanIndexType() any { return new(ID[K]) }

// suffixLength is the number of base32 characters that hold 128 bits.
const suffixLength = 26

// alphabet is Crockford's base32 in lower case, as TypeID specifies.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var alphabetIndex = func() (index [256]byte) {
	for i := range index {
		index[i] = 0xff
	}
	for i := range len(alphabet) {
		index[alphabet[i]] = byte(i)
	}
	return index
}()

// appendSuffix writes the 128 bits as 26 digits of 5 bits, the first of which
// has only 3.
func appendSuffix(b []byte, id [16]byte) []byte {
	bits, count := uint(0), 2 // two leading zero bits make 130
	for _, octet := range id {
		bits = bits<<8 | uint(octet)
		count += 8
		for count >= 5 {
			count -= 5
			b = append(b, alphabet[bits>>count&31])
		}
	}
	return b
}

func decodeSuffix(text string) (id uuid.UUID, err error) {
	bits, count, n := uint(0), -2, 0
	for i := range len(text) {
		digit := alphabetIndex[text[i]]
		if digit == 0xff || (i == 0 && digit > 7) {
			return uuid.UUID{}, errNotAnID
		}
		bits = bits<<5 | uint(digit)
		count += 5
		if count >= 8 {
			count -= 8
			id[n] = byte(bits >> count)
			n++
		}
	}
	return id, nil
}

// MarshalGQL writes the text form as a JSON string, for gqlgen.
func (id ID[K]) MarshalGQL(w io.Writer) { _, _ = w.Write(id.AppendJSON(nil)) }

// UnmarshalGQL parses the text form, for gqlgen.
func (id *ID[K]) UnmarshalGQL(v any) (err error) {
	text, _ := v.(string)
	*id, err = ParseID[K](text)
	return err
}
