package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"time"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/provider"
)

// People come by an identity provider in two requests: one sends the browser there, and one
// takes what it brings back. A flow lies between them, whose ticket the browser keeps. All
// that binds the answer to the browser follows from the ticket, which nobody else has.
//
//	BeginProvider, BeginLink ──▶ the provider ──▶ FinishProvider ──▶ who is it? (link.go)

// An identity provider has paths by its key.
const (
	providerPath = "/signin/"
	callbackPath = "/callback"
	linkPath     = "/link"
)

// ProviderURLs are the addresses of an identity provider here.
type ProviderURLs struct {
	// Start is where people sign in, Link where those who are signed in link it to their
	// account, and Callback where it sends them back to.
	Start, Link, Callback string
}

// ProviderURLs returns the addresses of the provider of that key.
func (s *Service) ProviderURLs(key string) ProviderURLs {
	start := s.Issuer + providerPath + key
	return ProviderURLs{Start: start, Link: start + linkPath, Callback: start + callbackPath}
}

// Departure is where a browser goes to sign in by a provider, and what it takes along.
type Departure struct {
	// Address is at the provider. Ticket stays with the browser, until it comes back.
	Address, Ticket string
}

// trip returns what binds the way of the browser that has the ticket.
func (t ticket) trip() provider.Trip {
	derive := func(name string) string {
		sum := sha256.Sum256([]byte(name + "\x00" + string(t[:])))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return provider.Trip{State: derive("state"), Nonce: derive("nonce"), Verifier: derive("verifier")}
}

// ProviderWish is what somebody wants who signs in by a provider.
type ProviderWish struct {
	// Organization is the one to sign in to, or nil.
	Organization *directory.OrganizationRef
	// Hint is what the person calls their account there, or empty.
	Hint string
	// Invitation is the token of an invitation to accept, or empty.
	Invitation string
}

// BeginProvider begins to sign somebody in by the provider of that key. It returns NOT_FOUND
// if no such provider lets people in, UNAVAILABLE if it does not answer, LIMITED after too
// many that were begun and not finished, and the problem of directory.NoInvitation for the
// token of an invitation that lets nobody in.
func (s *Service) BeginProvider(ctx context.Context, key string, in ProviderWish) (*Departure, error) {
	org, err := s.wishedOrganization(ctx, in.Organization)
	if err != nil {
		return nil, err
	}
	w := wish{Organization: org}
	if in.Invitation != "" {
		i, hash, err := s.invitation(ctx, in.Invitation)
		if err != nil {
			return nil, err
		}
		w.Invitation, in.Hint = &wishedInvitation{i.ID, hash}, i.Email
	}
	return s.depart(ctx, key, forProvider, nil, w, in.Hint)
}

// BeginLink begins to link the provider of that key to the account of the person who is
// signed in.
func (s *Service) BeginLink(ctx context.Context, key string) (*Departure, error) {
	actor, err := access.RequirePerson(ctx)
	if err != nil {
		return nil, err
	}
	return s.depart(ctx, key, forLink, actor.User, wish{}, "")
}

// LinkableProvider returns the provider of that key. It returns NOT_FOUND if no such provider
// lets people in.
func (s *Service) LinkableProvider(ctx context.Context, key string) (*directory.Provider, error) {
	p, err := s.Directory.UsableProvider(ctx, key)
	if err == nil && p == nil {
		err = problem.New(problem.NotFound, "There is no such way to sign in.")
	}
	return p, err
}

func (s *Service) depart(ctx context.Context, key, purpose string, user *db.UserID, w wish, hint string) (*Departure, error) {
	p, err := s.LinkableProvider(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := s.count(ctx, perSource.source(ctx)); err != nil {
		return nil, err
	}
	config, err := s.configOf(p)
	if err != nil {
		return nil, err
	}
	w.Provider = &p.ID
	f := s.newFlow(purpose, NextProvider, key, user, nil, w)
	address, err := s.Providers.AuthURL(ctx, config, f.ticket.trip(), hint)
	if err != nil {
		return nil, s.notByProvider(ctx, f, p, err)
	}
	return &Departure{Address: address, Ticket: f.ticket.String()}, s.save(ctx, f)
}

// configOf returns how this server is known to the provider.
func (s *Service) configOf(p *directory.Provider) (*provider.Config, error) {
	shown, err := s.Directory.ProviderSecret(p)
	return &provider.Config{Kind: p.Kind, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: shown, RedirectURL: s.ProviderURLs(p.Key).Callback}, err
}

// FinishProvider takes what the browser with that ticket brings back from the provider of
// that key. The result is nil if the provider was to be linked, which is done then. It
// returns INVALID, about input.ticket, unless the answer belongs to a flow that has begun in
// this browser, and was not taken before. Whatever else is wrong with it ends the flow.
func (s *Service) FinishProvider(ctx context.Context, key, ticket string, answer provider.Answer) (*Result, error) {
	f, err := s.find(ctx, ticket, forProvider, forLink)
	if err != nil {
		return nil, err
	}
	trip := f.ticket.trip()
	p, err := s.Directory.UsableProvider(ctx, key)
	switch {
	case err != nil:
		return nil, err
	case p == nil || p.ID != *f.wish.Provider, subtle.ConstantTimeCompare([]byte(trip.State), []byte(answer.State)) == 0:
		return nil, errNoFlow
	}
	if err := s.takeOnce(ctx, f); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, s.note(ctx, f, p.Key, refusedBy(p, answer.Error))
	}
	config, err := s.configOf(p)
	if err != nil {
		return nil, err
	}
	profile, err := s.Providers.Exchange(ctx, config, trip, answer)
	if err != nil {
		return nil, s.notByProvider(ctx, f, p, err)
	}
	if err := s.forgive(ctx, perSource.source(ctx)); err != nil {
		return nil, err
	}
	a := newArrival(p, profile)
	if f.Purpose == forLink {
		return nil, s.linkOwn(ctx, f, p, a)
	}
	result, err := s.arrive(ctx, f, p, a)
	return s.let(ctx, result, err)
}

// takeOnce ends the flow. It returns INVALID if somebody else has ended it meanwhile.
func (s *Service) takeOnce(ctx context.Context, f *flow) error {
	done, err := s.Directory.Writer.Unrecorded(ctx).NewDelete().Model(&f.Flow).WherePK().Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errNoFlow)
	}
	return nil
}

// refusedBy returns the problem of somebody whom the provider has not signed in.
func refusedBy(p *directory.Provider, code string) error {
	if code == "access_denied" {
		return problem.New(problem.Unauthenticated, "You have cancelled signing in with %s.", p.DisplayName)
	}
	return problem.New(problem.Unauthenticated, "%s has not signed you in. Try again, or sign in in another way.", p.DisplayName)
}

// maxCause is how much of what a provider has answered is written into the log, in bytes.
const maxCause = 500

// notByProvider writes down why the provider could not sign somebody in, and returns what
// the person learns of it. What an address has answered is for the log alone.
func (s *Service) notByProvider(ctx context.Context, f *flow, p *directory.Provider, cause error) error {
	text := cause.Error()
	s.Log.WarnContext(ctx, "an identity provider has not signed somebody in", "provider", p.Key, "cause", text[:min(len(text), maxCause)])
	if unreachable(cause) {
		return &problem.Error{Kind: problem.Unavailable, Message: p.DisplayName + " does not answer at the moment. Try again in a minute, or sign in in another way.", RetryAfter: time.Minute}
	}
	return s.note(ctx, f, p.Key, refusedBy(p, ""))
}

// unreachable reports whether there was no answer, rather than a wrong one.
func unreachable(err error) bool {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, context.DeadlineExceeded)
}
