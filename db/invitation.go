package db

import (
	"time"

	"github.com/uptrace/bun"
)

// InvitationStatus is the state of an invitation.
type InvitationStatus string

// The states of invitations.
const (
	InvitationPending  InvitationStatus = "PENDING"
	InvitationAccepted InvitationStatus = "ACCEPTED"
	InvitationRevoked  InvitationStatus = "REVOKED"
	InvitationExpired  InvitationStatus = "EXPIRED"
)

// Invitation is a row of invitations: whoever has an email address may join an
// organization. It holds only the SHA-256 of the token, in Hash.
type Invitation struct {
	bun.BaseModel `bun:"table:invitations,alias:i" json:"-"`

	ID         InvitationID   `bun:",pk" json:"id"`
	OrgID      OrganizationID `json:"-"`
	Email      string         `json:"email"`
	EmailKey   string         `json:"-"`
	GivenName  *string        `json:"givenName"`
	FamilyName *string        `json:"familyName"`
	// RoleIDs are the roles to be granted. If DefaultRoles is true, these are the default
	// ones, whichever they are then, and RoleIDs is empty.
	RoleIDs      []RoleID `bun:"role_ids,array" json:"-"`
	DefaultRoles bool     `json:"-"`
	Hash         []byte   `json:"-"`
	// InvitedBy is the text form of the actor whose authority lets the invited join.
	InvitedBy string `json:"-"`
	// Live is true until the invitation is accepted, revoked or replaced by another one of
	// the same address to the same organization. It may have expired.
	Live      bool      `json:"-"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	// SentAt is when it was mailed last; nil if it was not, so that its token does not prove
	// the address.
	SentAt     *time.Time `json:"sentAt"`
	AcceptedAt *time.Time `json:"acceptedAt"`
	RevokedAt  *time.Time `json:"revokedAt"`
	// UserID is the user who has accepted it, or nil.
	UserID *UserID `json:"-"`
}

// StatusAt returns the state of the invitation at that moment.
func (i *Invitation) StatusAt(now time.Time) InvitationStatus {
	switch {
	case i.AcceptedAt != nil:
		return InvitationAccepted
	case i.RevokedAt != nil:
		return InvitationRevoked
	case !i.ExpiresAt.After(now):
		return InvitationExpired
	}
	return InvitationPending
}
