package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/jackc/pgx/v5"

	"roster/db"
	"roster/egress"
	"roster/graph"
	"roster/graph/transport"
	"roster/mail"
	"roster/provider"
	"roster/secret"
)

// config holds the operator's choices, from environment variables and flags. Flags take
// precedence.
type config struct {
	addr        string
	dataDir     string
	databaseURL secret.Text // with its password
	pooler      db.Pooler
	postgres    string
	adminKey    secret.Text
	secretKey   secret.Text // one or more, separated by commas
	demo        bool
	publicURL   string
	dev         bool
	// audiences may be named by access tokens, beside this server.
	audiences []string
	// corsOrigins are separated by commas.
	corsOrigins string
	// returnOrigins are those that the pages send browsers back to, beside corsOrigins.
	returnOrigins []string
	// trustedProxies are the addresses whose X-Forwarded-For is believed.
	trustedProxies []netip.Prefix
	// trustedIssuers are those whose access tokens are credentials here.
	trustedIssuers []provider.TrustedIssuer
	// trusted is nil without a manifest.
	trusted     transport.TrustedDocuments
	trustedOnly transport.Clients
	// costPerSecond is 0 for the default.
	costPerSecond int
	// staleness is 0 for the default.
	staleness time.Duration
	// cacheEntries is 0 for a share of the memory.
	cacheEntries int
	// maxUpload is in bytes; 0 means transfer.DefaultMaxUpload.
	maxUpload int64
	// mailFrom is nil if it is not set, and so is smtp.
	mailFrom *netmail.Address
	smtp     *mail.SMTP
	// mailTemplates is nil for Roster's own.
	mailTemplates *mail.Templates
}

// embedded reports whether the server runs its own PostgreSQL.
func (c *config) embedded() bool { return c.databaseURL.Empty() }

// setting is one choice of the operator.
type setting struct {
	variable, flag, value, help string
	apply                       func(c *config, value string) error
}

// settings holds all choices with their defaults, in the order in which they are applied.
// The defaults of demo and dev depend on earlier choices: readConfig sets them if their
// values are empty. The limits of trusted documents depend on dev.
func settings() []setting {
	return []setting{
		{"ROSTER_ADDR", "addr", "localhost:8080", "listen address; port 0 picks one", (*config).setAddr},
		{"ROSTER_DATA_DIR", "data-dir", "./data", "folder of the embedded database, the administrator's key and the secret key", (*config).setDataDir},
		{"DATABASE_URL", "database-url", "", "a PostgreSQL to use instead of the embedded one", (*config).setDatabaseURL},
		{"ROSTER_DATABASE_POOLER", "database-pooler", "", "what stands before that PostgreSQL, where it is not detected: \"transaction\", such as pgbouncer", (*config).setPooler},
		{"ROSTER_POSTGRES", "postgres", "", "for the embedded database: a folder of PostgreSQL binaries, or \"download\"", (*config).setPostgres},
		{"ROSTER_ADMIN_KEY", "admin-key", "", "the administrator's API key: rk_ and at least 32 characters; made on the first start if not set; the list of processes shows flags", (*config).setAdminKey},
		{"ROSTER_ADMIN_KEY_FILE", "admin-key-file", "", "a file with the administrator's API key", (*config).setAdminKeyFile},
		{"ROSTER_SECRET_KEY", "secret-key", "", "the key that seals secrets in the database: 32 bytes in base64, the same for all servers of a database; made on the first start if not set; while it is replaced, the new key, a comma and the old one", (*config).setSecretKey},
		{"ROSTER_DEMO", "demo", "", "fill an empty database with the demo business; default true with the embedded database", boolean(func(c *config) *bool { return &c.demo })},
		{"ROSTER_PUBLIC_URL", "public-url", "", "the address that links are built from", (*config).setPublicURL},
		{"ROSTER_AUDIENCES", "audiences", "", "whom access tokens may be made for, separated by commas, such as https://api.example.com", (*config).setAudiences},
		{"ROSTER_DEV", "dev", "", "open introspection, playground and suggestions; default true on a loopback address", boolean(func(c *config) *bool { return &c.dev })},
		{"ROSTER_CORS_ORIGINS", "cors-origins", "", "origins whose pages may call the API, separated by commas, such as https://app.example.com", (*config).setCORSOrigins},
		{"ROSTER_RETURN_ORIGINS", "return-origins", "", "origins that browsers may be sent back to after signing in, separated by commas; those of ROSTER_CORS_ORIGINS belong to them", (*config).setReturnOrigins},
		{"ROSTER_TRUSTED_PROXIES", "trusted-proxies", "", "the proxies before this server, whose X-Forwarded-For names the clients: IP addresses and networks such as 10.0.0.0/8, separated by commas", (*config).setTrustedProxies},
		{"ROSTER_TRUSTED_ISSUERS", "trusted-issuers", "", "whose access tokens are credentials here, as pairs issuer=audience, separated by commas", (*config).setTrustedIssuers},
		{"ROSTER_TRUSTED_DOCUMENTS", "trusted-documents", "", "a manifest of documents that clients may name by id: graphql-codegen's or Apollo's", (*config).setTrustedDocuments},
		{"ROSTER_TRUSTED_ONLY", "trusted-only", "", "whose other documents are refused: browsers, anonymous, keys and people, separated by commas, or all; nobody's when not set", (*config).setTrustedOnly},
		{"ROSTER_COST_PER_SECOND", "cost-per-second", "", "what one API key may spend in the long run; 50,000,000 when not set", (*config).setCostPerSecond},
		{"ROSTER_STALENESS_BOUND", "staleness-bound", "", "how long checks are answered from memory while the feed of changes is cut, from 500ms to 1m; 1s when not set", (*config).setStaleness},
		{"ROSTER_CACHE_ENTRIES", "cache-entries", "", "how many members are kept in memory at most, for checks; a 20th of the memory when not set", (*config).setCacheEntries},
		{"ROSTER_MAX_UPLOAD", "max-upload", "", "how many bytes a file of people may have, packed or not; 4294967296 when not set", (*config).setMaxUpload},
		{"ROSTER_MAIL_FROM", "mail-from", "", "the sender of mails, such as \"Example <accounts@example.com>\"", (*config).setMailFrom},
		{"ROSTER_SMTP_URL", "smtp-url", "", "the server that sends mails: smtps://user:password@host:port, or smtp:// for STARTTLS where it is offered (?starttls=required or never); the list of processes shows flags", (*config).setSMTP},
		{"ROSTER_MAIL_TEMPLATES", "mail-templates", "", "a folder of templates that stand in for Roster's own", (*config).setMailTemplates},
	}
}

// readConfig reads the operator's choices. It returns flag.ErrHelp after it has printed
// the help.
func readConfig(args []string, getenv func(string) string, output io.Writer) (*config, error) {
	flags := flag.NewFlagSet("roster", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors
	all := settings()
	for i := range all {
		s := &all[i]
		if value := getenv(s.variable); value != "" {
			s.value = value
		}
		flags.StringVar(&s.value, s.flag, s.value, s.help)
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printHelp(output)
		}
		return nil, err
	}
	if flags.NArg() > 0 {
		// Without the argument: after a space too many, it may be a secret.
		return nil, errors.New("there is an argument that is no command (export, import, keys, version) and belongs to no flag; -help lists what there is")
	}
	c := &config{}
	// The defaults of these two depend on other choices.
	for _, s := range all {
		if s.value == "" && s.variable == "ROSTER_DEMO" {
			s.value = strconv.FormatBool(c.embedded())
		}
		if s.value == "" && s.variable == "ROSTER_DEV" {
			s.value = strconv.FormatBool(isLoopback(c.addr))
		}
		if err := s.apply(c, s.value); err != nil {
			return nil, fmt.Errorf("%s (-%s): %w", s.variable, s.flag, err)
		}
	}
	if c.publicURL == "" && !isLoopback(c.addr) {
		return nil, fmt.Errorf("ROSTER_PUBLIC_URL (-public-url): needed where others reach the server (ROSTER_ADDR is %s), since people sign in there: cookies, mails and tokens name the address", c.addr)
	}
	return c, nil
}

// unknownVariables returns a warning for each variable of the environment that looks
// like a setting and is none.
func unknownVariables(environ []string) (warnings []string) {
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		nearest, known := nearestVariable(name)
		if strings.HasPrefix(name, "ROSTER_") && !known && name != keyVariable {
			warnings = append(warnings, fmt.Sprintf("%s is no setting of Roster; is %s meant?", name, nearest))
		}
	}
	return warnings
}

// nearestVariable returns the variable of a setting whose name is the most like name,
// and whether it is the same. What most names begin with does not count.
func nearestVariable(name string) (nearest string, same bool) {
	distance := func(s setting) int {
		const prefix = "ROSTER_"
		return levenshtein.ComputeDistance(strings.TrimPrefix(name, prefix), strings.TrimPrefix(s.variable, prefix))
	}
	least := slices.MinFunc(settings(), func(a, b setting) int { return distance(a) - distance(b) })
	return least.variable, least.variable == name
}

func printHelp(output io.Writer) {
	fmt.Fprintln(output, "Roster serves a GraphQL API for user management. The commands export, import, keys and version do something else. Its settings are environment variables or flags:")
	for _, s := range settings() {
		value := ""
		if s.value != "" {
			value = " (default " + s.value + ")"
		}
		fmt.Fprintf(output, "  -%-17s %-24s %s%s\n", s.flag, s.variable, s.help, value)
	}
}

func (c *config) setAddr(value string) error {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return fmt.Errorf("%q is no address such as localhost:8080", value)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is no port from 0 to 65535", port)
	}
	c.addr = value
	return nil
}

func (c *config) setDataDir(value string) error {
	if value == "" {
		return errors.New("must not be empty")
	}
	c.dataDir = value
	return nil
}

func (c *config) setDatabaseURL(value string) error {
	if value == "" {
		return nil
	}
	if _, err := pgx.ParseConfig(value); err != nil {
		// Without the cause, which quotes the value and with it the password.
		return errors.New("not a PostgreSQL connection string such as postgres://user:password@host:5432/database")
	}
	c.databaseURL = secret.New(value)
	return nil
}

func (c *config) setPooler(value string) error {
	c.pooler = db.Pooler(value)
	if c.pooler != db.DetectPooler && c.pooler != db.TransactionPooler {
		return fmt.Errorf("%q is not %q: no other kind of pooler works", value, db.TransactionPooler)
	}
	return nil
}

func (c *config) setPostgres(value string) error {
	if value != "" && value != "download" {
		if info, err := os.Stat(value); err != nil || !info.IsDir() {
			return fmt.Errorf("%q is no folder", value)
		}
		if _, err := os.Stat(filepath.Join(value, "postgres")); err != nil {
			return fmt.Errorf("%q holds no PostgreSQL binaries", value)
		}
	}
	c.postgres = value
	return nil
}

var adminKeyPattern = regexp.MustCompile(`^rk_[A-Za-z0-9_-]{32,200}$`)

func (c *config) setAdminKey(value string) error {
	if value != "" && !adminKeyPattern.MatchString(value) {
		return errors.New("must be rk_ and 32 to 200 letters, digits, _ or -")
	}
	c.adminKey = secret.New(value)
	return nil
}

// setAdminKeyFile reads a key that the operator has put somewhere, such as a mounted
// secret: who may read the file is theirs to choose.
func (c *config) setAdminKeyFile(value string) error {
	if value == "" {
		return nil
	}
	if !c.adminKey.Empty() {
		return errors.New("ROSTER_ADMIN_KEY is set, too: set one of them")
	}
	f, err := os.Open(value)
	if err != nil {
		return err
	}
	defer f.Close()
	c.adminKey, err = readKey(f, checkAdminKey)
	return err
}

// setSecretKey takes the key of this server, and those that it replaces.
func (c *config) setSecretKey(value string) error {
	if value == "" {
		return nil
	}
	c.secretKey = secret.New(value)
	_, err := secret.ParseKeyring(value)
	return err
}

func (c *config) setPublicURL(value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || !isWeb(u) || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("not an address such as https://accounts.example.com") // without the value, which may hold a password
	}
	c.publicURL = value
	return nil
}

func (c *config) setAudiences(value string) error {
	for audience := range strings.SplitSeq(value, ",") {
		if audience = strings.TrimSpace(audience); audience != "" {
			c.audiences = append(c.audiences, audience)
		}
	}
	return nil
}

func (c *config) setCORSOrigins(value string) error {
	origins, err := parseOrigins(value)
	c.corsOrigins = strings.Join(origins, ",")
	return err
}

func (c *config) setReturnOrigins(value string) (err error) {
	c.returnOrigins, err = parseOrigins(value)
	return err
}

// parseOrigins returns the origins of a list that is separated by commas. An origin may
// have a slash behind it, as it is often copied.
func parseOrigins(value string) ([]string, error) {
	if value == "" {
		return nil, nil
	}
	origins := strings.Split(value, ",")
	for i, origin := range origins {
		origin = strings.TrimSuffix(strings.TrimSpace(origin), "/")
		u, err := url.Parse(origin)
		if err != nil || !isWeb(u) || strings.Contains(u.Host, "*") || u.Scheme+"://"+u.Host != origin {
			return nil, fmt.Errorf("%q is no origin such as https://app.example.com", origin)
		}
		origins[i] = origin
	}
	return origins, nil
}

// isWeb reports whether u is the address of a web server, with a host and, if it has
// a port, a valid one.
func isWeb(u *url.URL) bool {
	_, err := strconv.ParseUint(cmp.Or(u.Port(), "0"), 10, 16)
	return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && !strings.HasSuffix(u.Host, ":") && err == nil
}

func (c *config) setTrustedProxies(value string) error {
	for proxy := range strings.SplitSeq(value, ",") {
		if proxy = strings.TrimSpace(proxy); proxy == "" {
			continue
		}
		network, err := netip.ParsePrefix(proxy)
		if err != nil {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(proxy); err == nil {
				network, err = ip.Prefix(ip.BitLen())
			}
		}
		if err != nil {
			return fmt.Errorf("%q is neither an IP address nor a network such as 10.0.0.0/8", proxy)
		}
		c.trustedProxies = append(c.trustedProxies, network)
	}
	return nil
}

func (c *config) setTrustedIssuers(value string) error {
	for pair := range strings.SplitSeq(value, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		issuer, audience, _ := strings.Cut(pair, "=")
		u, err := url.Parse(issuer)
		if err != nil || !isWeb(u) || u.RawQuery != "" || u.Fragment != "" || u.User != nil || audience == "" {
			return fmt.Errorf("%q is no pair such as https://login.example.com=https://api.example.com", pair)
		}
		if u.Scheme != "https" && !egress.IsLoopback(u.Hostname()) {
			return fmt.Errorf("%q does not begin with https", pair)
		}
		c.trustedIssuers = append(c.trustedIssuers, provider.TrustedIssuer{Issuer: issuer, Audience: audience})
	}
	return nil
}

func (c *config) setTrustedDocuments(value string) error {
	if value == "" {
		return nil
	}
	manifest, err := os.ReadFile(value)
	if err != nil {
		return err
	}
	if c.trusted, err = transport.ReadTrustedDocuments(manifest); err == nil {
		err = transport.CheckTrusted(transport.Options{Schema: graph.NewSchema(nil, nil, nil), Trusted: c.trusted, Introspection: c.dev})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", value, err)
	}
	return nil
}

func (c *config) setTrustedOnly(value string) (err error) {
	if value == "" {
		return nil
	}
	if c.trusted == nil {
		return errors.New("needs ROSTER_TRUSTED_DOCUMENTS")
	}
	c.trustedOnly, err = transport.ParseClients(value)
	return err
}

func (c *config) setCostPerSecond(value string) error {
	if value == "" {
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return fmt.Errorf("%q is no number from 1 to 1000000000", value)
	}
	c.costPerSecond = n
	return nil
}

// setStaleness returns an error for a bound that the feed, which polls three times a
// second, would miss on a busy machine, and for one that is longer than a person waits
// for a revoke.
func (c *config) setStaleness(value string) error {
	if value == "" {
		return nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 500*time.Millisecond || d > time.Minute {
		return fmt.Errorf("%q is no time from 500ms to 1m, such as 1s", value)
	}
	c.staleness = d
	return nil
}

func (c *config) setCacheEntries(value string) error {
	if value == "" {
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return fmt.Errorf("%q is no number from 1 to 1000000000", value)
	}
	c.cacheEntries = n
	return nil
}

func (c *config) setMaxUpload(value string) (err error) {
	if value == "" {
		return nil
	}
	c.maxUpload, err = strconv.ParseInt(value, 10, 64)
	if err != nil || c.maxUpload < 1 {
		return fmt.Errorf("%q is no number of bytes", value)
	}
	return nil
}

func (c *config) setMailFrom(value string) (err error) {
	if value != "" {
		c.mailFrom, err = mail.ParseFrom(value)
	}
	return err
}

func (c *config) setSMTP(value string) (err error) {
	if value == "" {
		return nil
	}
	if c.mailFrom == nil {
		return errors.New("needs ROSTER_MAIL_FROM")
	}
	c.smtp, err = mail.ParseSMTP(secret.New(value), c.mailFrom)
	return err
}

func (c *config) setMailTemplates(value string) (err error) {
	if value != "" {
		c.mailTemplates, err = mail.ParseTemplates(value)
	}
	return err
}

// boolean returns the apply function of a setting for a field that is true or false.
func boolean(field func(*config) *bool) func(*config, string) error {
	return func(c *config, value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*field(c) = b
		return nil
	}
}

// isLoopback reports whether only this machine reaches the address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	return egress.IsLoopback(host)
}
