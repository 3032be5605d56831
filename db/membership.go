package db

import (
	"time"

	"github.com/uptrace/bun"
)

// Membership is a row of memberships: one user in one organization. Grants to a
// suspended one do not count.
type Membership struct {
	bun.BaseModel `bun:"table:memberships,alias:m" json:"-"`

	ID       MembershipID   `bun:",pk" json:"id"`
	OrgID    OrganizationID `json:"organizationId"`
	UserID   UserID         `json:"userId"`
	JoinedAt time.Time      `json:"joinedAt"`
	Status   Status         `bun:",nullzero" json:"status"`
}
