package db

// NodeID returns the text form of the user's id.
func (u *User) NodeID() string { return u.ID.String() }

// NodeID returns the text form of the organization's id.
func (o *Organization) NodeID() string { return o.ID.String() }

// NodeID returns the text form of the membership's id.
func (m *Membership) NodeID() string { return m.ID.String() }

// NodeID returns the text form of the API key's id.
func (k *APIKey) NodeID() string { return k.ID.String() }

// NodeID returns the text form of the change's id.
func (c *Change) NodeID() string { return c.ID.String() }

// NodeID returns the text form of the session's id.
func (s *Session) NodeID() string { return s.ID.String() }

// NodeID returns the text form of the sign-in's id.
func (s *SignIn) NodeID() string { return s.ID.String() }

// NodeID returns the text form of the invitation's id.
func (i *Invitation) NodeID() string { return i.ID.String() }

// NodeID returns the text form of the identity provider's id.
func (p *IdentityProvider) NodeID() string { return p.ID.String() }

// NodeID returns the text form of the application's id.
func (a *Application) NodeID() string { return a.ID.String() }

// NodeID returns the text form of the import's id.
func (i *Import) NodeID() string { return i.ID.String() }
