package graphtest

import "strings"

// Stop is something that takes from a user what they may do in an organization.
type Stop struct {
	// Ends is the field of a mutation that does it, in which $e stands for the address of the
	// user and $o for the code of the organization. Restores takes it back; it is empty if
	// nothing does.
	Ends, Restores string
	// Everywhere is true if the user is not let in any more at all, and Everybody if nobody may
	// act in the organization any more.
	Everywhere, Everybody bool
}

// Stops are the ways to stop somebody, by name. Each is tried on all ways in.
var Stops = map[string]Stop{
	"user suspended":         {`suspendUser(input: {user: {email: $e}}) { user { id } }`, `restoreUser(input: {user: {email: $e}}) { user { id } }`, true, false},
	"user offboarded":        {`offboardUser(input: {user: {email: $e}}) { user { id } }`, "", true, false},
	"user deleted":           {`deleteUser(input: {user: {email: $e}}) { deletedIds }`, "", true, false},
	"member suspended":       {`suspendMember(input: {organization: {code: $o}, user: {email: $e}}) { membership { id } }`, `restoreMember(input: {organization: {code: $o}, user: {email: $e}}) { membership { id } }`, false, false},
	"member removed":         {`removeMembers(input: {organization: {code: $o}, users: [{email: $e}]}) { deletedIds }`, "", false, false},
	"organization suspended": {`suspendOrganization(input: {organization: {code: $o}}) { organization { id } }`, `restoreOrganization(input: {organization: {code: $o}}) { organization { id } }`, false, true},
}

// Of returns the way for a user and an organization, with documents in place of fields.
func (s Stop) Of(email, org string) Stop {
	names := strings.NewReplacer("$e", Quote(email), "$o", Quote(org))
	s.Ends = "mutation { " + names.Replace(s.Ends) + " }"
	if s.Restores != "" {
		s.Restores = "mutation { " + names.Replace(s.Restores) + " }"
	}
	return s
}
