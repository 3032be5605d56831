package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"roster/db"
	"roster/problem"
	"roster/secret"
)

// The purposes of flows.
const (
	forSignIn        = "SIGN_IN"
	forSignUp        = "SIGN_UP"
	forPasswordReset = "RESET_PASSWORD"
	forEmailChange   = "CHANGE_EMAIL"
	forInvitation    = "ACCEPT_INVITATION"
	// These are under way at an identity provider: to sign in, or to link it.
	forProvider = "PROVIDER"
	forLink     = "LINK"
)

// Next is what a flow needs next.
type Next string

// What a flow can need next.
const (
	NextEmailCode    Next = "EMAIL_CODE"
	NextPassword     Next = "PASSWORD"
	NextNewPassword  Next = "NEW_PASSWORD"
	NextOrganization Next = "ORGANIZATION"
	// NextProvider is the answer of an identity provider, which no client gives.
	NextProvider Next = "PROVIDER"
)

// Step is what is still needed to sign in.
type Step struct {
	// Ticket names the flow. Whoever has it can go on with it.
	Ticket    string
	Next      Next
	ExpiresAt time.Time
	// Choices are the organizations to choose from, if Next is NextOrganization.
	Choices []db.OrganizationID
}

// flowLife is how long a flow lasts, and with it the code that was mailed for it.
const flowLife = 10 * time.Minute

// maxTries is how many codes are tried for one flow.
const maxTries = 5

// ticketPrefix begins every ticket.
const ticketPrefix = "rt_"

// named is a secret that names a row: the id of the row, and 256 random bits.
type named [16 + 32]byte

func newNamed(id [16]byte) (n named) {
	copy(n[:], id[:])
	rand.Read(n[16:]) // never fails
	return n
}

// parseNamed parses the text form, which begins with the prefix.
func parseNamed(prefix, text string) (n named, ok bool) {
	text, ok = strings.CutPrefix(text, prefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(len(n)) {
		return n, false
	}
	bits, err := base64.RawURLEncoding.Strict().DecodeString(text)
	copy(n[:], bits)
	return n, err == nil
}

func (n named) text(prefix string) string {
	return prefix + base64.RawURLEncoding.EncodeToString(n[:])
}

// ticket is what names a flow to its client.
type ticket named

func newTicket(of db.FlowID) ticket { return ticket(newNamed(of)) }

func parseTicket(text string) (ticket, bool) {
	n, ok := parseNamed(ticketPrefix, text)
	return ticket(n), ok
}

func (t ticket) String() string { return named(t).text(ticketPrefix) }

func (t ticket) flow() db.FlowID { return db.FlowID(t[:16]) }

func (t ticket) hash() []byte {
	sum := sha256.Sum256(t[:])
	return sum[:]
}

// hashOf returns the hash of a code that is mailed for the flow of the ticket. Nobody
// finds the code by its hash without the ticket, which is not stored.
func (t ticket) hashOf(code string) []byte {
	sum := sha256.Sum256([]byte(string(t[:]) + strings.Join(strings.Fields(code), ""))) // people type spaces
	return sum[:]
}

// newCode returns a code of 8 digits.
func newCode() secret.Text {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		panic(err) // the source of random numbers never fails
	}
	return secret.New(fmt.Sprintf("%08d", n))
}

// wish is what somebody asked for when a flow began.
type wish struct {
	GivenName    *string `json:"givenName,omitempty"`
	FamilyName   *string `json:"familyName,omitempty"`
	PasswordHash string  `json:"passwordHash,omitempty"`
	// Organization is the one to join, or to sign in to.
	Organization *db.OrganizationID `json:"organization,omitempty"`
	// CreateOrganization is the name of an organization to be made.
	CreateOrganization *string `json:"createOrganization,omitempty"`
	// Invitation is accepted once the address is proven.
	Invitation *wishedInvitation `json:"invitation,omitempty"`
	// Provider is the one that the browser was sent to, and Arrival whom it has signed in.
	Provider *db.ProviderID `json:"provider,omitempty"`
	Arrival  *arrival       `json:"arrival,omitempty"`
}

// flow is a flow in memory.
type flow struct {
	db.Flow
	ticket ticket
	wish   wish
	// stored is true if there is a row of it. A sign-in that takes one step needs none.
	stored bool
}

// newFlow returns a flow that needs next for the account, which is what was typed. user
// is nil for an unknown account.
func (s *Service) newFlow(purpose string, next Next, account string, user *db.UserID, email *string, w wish) *flow {
	now := s.now()
	f := &flow{wish: w, Flow: db.Flow{
		ID: db.NewID[db.FlowKind](), Purpose: purpose, Next: string(next), Account: account, UserID: user, Email: email,
		Methods: []string{}, CreatedAt: now, ExpiresAt: now.Add(flowLife),
	}}
	f.ticket = newTicket(f.ID)
	f.Hash = f.ticket.hash()
	return f
}

// save stores the flow as it is now.
func (s *Service) save(ctx context.Context, f *flow) (err error) {
	if f.stored {
		_, err = s.Directory.Writer.Unrecorded(ctx).NewUpdate().Model(&f.Flow).Column("next", "user_id", "tries", "methods").WherePK().Exec(ctx)
		return err
	}
	if f.Wish, err = json.Marshal(f.wish); err != nil {
		return err
	}
	_, err = s.Directory.Writer.Unrecorded(ctx).NewInsert().Model(&f.Flow).Exec(ctx)
	return err
}

// end ends the flow: its ticket is of no use any more.
func (s *Service) end(ctx context.Context, f *flow) error {
	if !f.stored {
		return nil
	}
	_, err := s.Directory.Writer.Unrecorded(ctx).NewDelete().Model(&f.Flow).WherePK().Exec(ctx)
	return err
}

// step returns what the flow still needs.
func (f *flow) step() *Step {
	return &Step{Ticket: f.ticket.String(), Next: Next(f.Next), ExpiresAt: f.ExpiresAt}
}

// find returns the flow of the ticket for one of these purposes. In a transaction, it locks
// the flow, so that each step is taken once. It returns INVALID if there is no such flow,
// or no more.
func (s *Service) find(ctx context.Context, text string, purposes ...string) (*flow, error) {
	t, ok := parseTicket(text)
	if !ok {
		return nil, errNoFlow
	}
	lock := ""
	if db.HasTx(ctx) {
		lock = " for update"
	}
	row, err := db.SelectOne[db.Flow](ctx, s.Database, "select * from flows where id = $1 and expires_at > $2 and purpose = any($3)"+lock, t.flow(), s.now(), purposes)
	if err != nil {
		return nil, err
	}
	if row == nil || subtle.ConstantTimeCompare(row.Hash, t.hash()) == 0 {
		return nil, errNoFlow
	}
	f := &flow{Flow: *row, ticket: t, stored: true}
	return f, json.Unmarshal(row.Wish, &f.wish)
}

// again returns the flow as it is now, and locks it, in the transaction of ctx. It returns
// INVALID if its step was taken in the meantime. A flow that is not stored is as it was.
func (s *Service) again(ctx context.Context, f *flow) (*flow, error) {
	if !f.stored {
		return new(*f), nil
	}
	now, err := s.find(ctx, f.ticket.String(), f.Purpose)
	if err == nil {
		err = now.needs(Next(f.Next))
	}
	return now, err
}

var errNoFlow = problem.At(problem.Invalid, "input.ticket", "This is over, or took too long. Begin again.")

// needs returns INVALID unless the flow needs that next.
func (f *flow) needs(next Next) error {
	if Next(f.Next) == next {
		return nil
	}
	return problem.At(problem.Invalid, "input", "The next step is %s, and takes nothing else.", f.Next)
}

// try compares the code with the one that was mailed for the flow, and counts the try. If
// it is wrong, try returns false; after the last try the flow is over.
func (s *Service) try(ctx context.Context, f *flow, code string) (bool, error) {
	if subtle.ConstantTimeCompare(f.CodeHash, f.ticket.hashOf(code)) == 1 {
		return true, nil
	}
	f.Tries++
	if f.Tries >= maxTries {
		return false, s.end(ctx, f)
	}
	return false, s.save(ctx, f)
}
