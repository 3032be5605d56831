package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"roster/secret"
)

// SMTP sends mails through an SMTP server.
type SMTP struct {
	from     *netmail.Address
	host     string
	port     int
	implicit bool // TLS from the first byte on
	startTLS gomail.TLSPolicy
	user     string
	password secret.Text
	// roots are the certificates that are trusted, or nil for the machine's.
	roots *x509.CertPool
}

// The ports of mail submission (RFC 8314, 3).
const (
	startTLSPort = 587
	tlsPort      = 465
)

var startTLSPolicies = map[string]gomail.TLSPolicy{"": gomail.TLSOpportunistic, "required": gomail.TLSMandatory, "never": gomail.NoTLS}

var errServer = errors.New("not an address such as smtps://user:password@smtp.example.com or smtp://smtp.example.com:25?starttls=never")

// ParseSMTP returns the sender for an address of one of these forms, from the sender's
// address:
//
//	smtp://user:password@host:port                    STARTTLS where the server offers it
//	smtp://user:password@host:port?starttls=required  STARTTLS, or nothing is sent
//	smtp://user:password@host:port?starttls=never     no TLS
//	smtps://user:password@host:port                   TLS from the beginning
//
// User and password may be left out, and so may the port: it is 587, or 465 with TLS. A
// password is sent without TLS only if TLS is never to be used. The error does not
// quote the address.
func ParseSMTP(address secret.Text, from *netmail.Address) (*SMTP, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" || u.Opaque != "" {
		return nil, errServer
	}
	s := &SMTP{from: from, host: u.Hostname(), port: startTLSPort, user: u.User.Username()}
	switch u.Scheme {
	case "smtp":
	case "smtps":
		s.implicit, s.port = true, tlsPort
	default:
		return nil, errServer
	}
	if strings.HasSuffix(u.Host, ":") {
		return nil, errServer
	}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || port == 0 {
			return nil, errServer
		}
		s.port = int(port)
	}
	if s.startTLS, err = parseStartTLS(u, s.implicit); err != nil {
		return nil, err
	}
	password, hasPassword := u.User.Password()
	if s.password = secret.New(password); (s.user == "") != !hasPassword || hasPassword && password == "" {
		return nil, errors.New("a user and a password belong together: smtps://user:password@smtp.example.com, with signs such as @ and / percent-encoded")
	}
	return s, nil
}

func parseStartTLS(u *url.URL, implicit bool) (gomail.TLSPolicy, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return 0, errServer
	}
	policy, known := startTLSPolicies[query.Get("starttls")]
	delete(query, "starttls")
	switch {
	case !known:
		return 0, errors.New("starttls is \"required\", \"never\", or not set")
	case len(query) > 0:
		return 0, errors.New("there is no other choice behind the ? than starttls")
	case implicit && u.RawQuery != "":
		return 0, errors.New("smtps:// uses TLS from the beginning, and so no STARTTLS")
	}
	return policy, nil
}

// ParseFrom returns the sender's address, of the form "Name <address>" or "address".
func ParseFrom(text string) (*netmail.Address, error) {
	from, err := netmail.ParseAddress(text)
	if err != nil || !isAddress(from.Address) || plain(from.Name) != from.Name {
		return nil, fmt.Errorf("%q is no address such as Example <accounts@example.com>", text)
	}
	from.Address, err = asciiDomain(from.Address)
	return from, err
}

// domain returns the part of the sender's address after the @. By it this machine greets
// the server: its own name is nobody's business, and seldom one that is in DNS.
func (s *SMTP) domain() string { return domainOf(s.from.Address) }

// connectTime is how long it may take to connect and sign in to the server, and how
// long to pass on one mail then: together sendTime.
const connectTime = sendTime / 2

// Send implements [Sender].
func (s *SMTP) Send(ctx context.Context, m *Mail) error {
	message, err := s.message(m)
	if err != nil {
		return &refusal{err.Error()}
	}
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil && !message.IsDelivered() {
		return failure(ctx, err)
	}
	return nil // also if the server did not say goodbye
}

// message returns the mail in the form of the library.
func (s *SMTP) message(m *Mail) (*gomail.Msg, error) {
	// A recipient has no name here, so that nobody writes into the header.
	to, err := asciiDomain(m.To)
	if err != nil {
		return nil, errors.New("the address has no domain that exists in DNS")
	}
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("part-"+m.ID))
	message.FromMailAddress(s.from)
	message.ToMailAddress(&netmail.Address{Address: to}) // which quotes it where that is needed
	message.Subject(m.Subject)
	message.SetMessageIDWithValue(m.ID + "@" + m.Domain)
	message.SetDateWithValue(m.At)
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers of absence
	message.SetGenHeader("X-Auto-Response-Suppress", "All")  // the same, for Exchange
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	message.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return message, nil
}

// The ways to sign in, the best first. Without TLS, a password is shown to the network
// only if the operator has chosen to use none.
var (
	authEncrypted = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5}
	authPlain     = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
)

// client returns a client of the server. Its connection is closed when ctx ends.
func (s *SMTP) client(ctx context.Context) (*gomail.Client, error) {
	config := &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots}
	dial := func(dialCtx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		if !s.implicit {
			return conn, nil
		}
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(dialCtx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return encrypted, nil
	}
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(connectTime), gomail.WithTLSConfig(config), gomail.WithTLSPolicy(s.startTLS),
		gomail.WithDialContextFunc(dial), gomail.WithHELO(s.domain()), gomail.WithoutNoop(),
	}
	if s.implicit {
		options = append(options, gomail.WithSSL())
	}
	if s.user != "" {
		ways := authEncrypted
		if s.startTLS == gomail.NoTLS && !s.implicit {
			ways = authPlain
		}
		options = append(options, gomail.WithUsername(s.user), gomail.WithPassword(s.password.Reveal()), gomail.WithOpportunisticSMTPAuth(ways...))
	}
	return gomail.NewClient(s.host, options...)
}

// failure returns what the log may know of the error of a client. Servers repeat
// addresses in their answers, and the library adds them to its errors.
func failure(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the SMTP server took longer than %v", sendTime)
	}
	if ctx.Err() != nil {
		return errors.New("this server stopped meanwhile")
	}
	if sending, ok := errors.AsType[*gomail.SendError](err); ok {
		return sendFailure(sending)
	}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Errorf("the SMTP server answered %d before a mail was sent, as it does for a wrong user or password", answer.Code)
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New("the server does not speak SMTP")
	}
	return fmt.Errorf("no connection to the SMTP server: %w", err)
}

// sendFailure returns what the log may know of a refused mail.
func sendFailure(err *gomail.SendError) error {
	code := err.ErrorCode()
	if code == 0 {
		return fmt.Errorf("the connection to the SMTP server ended while %v", err.Reason)
	}
	answer := strings.TrimSpace(fmt.Sprintf("the SMTP server answered %d %s", code, err.EnhancedStatusCode()))
	const permanent = 500 // RFC 5321, 4.2.1
	if code < permanent || aboutAuthentication[code] {
		return errors.New(answer)
	}
	return &refusal{answer}
}

// aboutAuthentication holds the answers that are not about the mail, but about the user
// and the password (RFC 4954, 6): the operator can set them right.
var aboutAuthentication = map[int]bool{530: true, 534: true, 535: true, 538: true}
