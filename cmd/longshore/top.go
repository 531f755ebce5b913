package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

func (a *app) topCommand() *cobra.Command {
	t := topping{app: a}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what flows through a running agent",
		Long: "Shows the inputs and outputs of a running agent: rates, lag, what waits in memory and on disk, and " +
			"what is wrong, in words. The agent is the one whose config is found as by run, or that at --address.",
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			ctx, stop := a.untilSignal(cmd, true)
			defer stop()
			return t.run(ctx)
		}),
	}
	configFlag(cmd, &t.path)
	cmd.Flags().StringVar(&t.address, "address", "",
		"the agent's address, such as 127.0.0.1:5664, instead of the config's")
	cmd.Flags().DurationVar(&t.interval, "interval", time.Second, "how often the agent is asked")
	cmd.Flags().BoolVar(&t.once, "once", false, "print the tables once, with the rates of one interval")
	return cmd
}

// topping is one invocation of the command.
type topping struct {
	*app
	path, address string
	interval      time.Duration
	once          bool
	token         pipeline.Secret
	http          config.HTTP // of the config, if there is one
}

// leastInterval is how often the agent is asked at most.
const leastInterval = 50 * time.Millisecond

func (t *topping) run(ctx context.Context) error {
	if err := t.find(); err != nil {
		return err
	}
	t.interval = max(t.interval, leastInterval)
	if t.once || !isTerminal(t.stdout) {
		return t.print(ctx)
	}
	first, err := t.ask(ctx)
	if err != nil {
		return err
	}
	m := &topModel{top: t, ctx: ctx, now: first}
	_, err = tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(t.stdin), tea.WithOutput(t.stdout),
		tea.WithoutSignalHandler()).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // asked to end
	}
	return err
}

// find finds the agent's address, and the token that it may want.
func (t *topping) find() error {
	cfg, err := t.load(t.path)
	switch {
	case err == nil:
		t.token, t.http = cfg.HTTP.Token, cfg.HTTP
	case t.address == "" || t.path != "":
		return err
	}
	if t.address == "" {
		t.address, err = agentAddress(cfg)
		return err
	}
	return nil
}

// print prints the tables once.
func (t *topping) print(ctx context.Context) error {
	before, err := t.ask(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(t.interval):
	case <-ctx.Done():
		return nil
	}
	now, err := t.ask(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(t.stdout, topScreen{style: t.styleOf(t.stdout), address: t.address}.text(before, now))
	return err
}

const (
	// maxStatus bounds the answer of an agent.
	maxStatus = 64 << 20
	// statusTimeout is how long it may take.
	statusTimeout = 10 * time.Second
)

// ask asks the agent for its status.
func (t *topping) ask(ctx context.Context) (*topStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		t.http.At(t.address, "/api/v1/status"), nil)
	if err != nil {
		return nil, fmt.Errorf("asking the agent at %s: %w", t.address, err)
	}
	if t.token != "" {
		request.Header.Set("Authorization", "Bearer "+t.token.Reveal())
	}
	response, err := localClient(t.http.TLS).Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("no agent answers at %s; is it running? Name its config (-c) or its address "+
			"(--address)", t.address)
	}
	if err != nil {
		return nil, err // contains the URL
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxStatus))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", t.address, err)
	}
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the agent at %s wants a token; name its config (-c), which has http.token", t.address)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s; is it a longshore agent?", t.address, response.Status)
	}
	s := &topStatus{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("the answer of %s is not that of a longshore agent: %w", t.address, err)
	}
	return s, nil
}

// A topModel is what the screen shows; it implements tea.Model.
type topModel struct {
	top           *topping
	ctx           context.Context
	before, now   *topStatus
	err           error
	width, height int
}

// An answered is the answer of the agent, or why there is none.
type answered struct {
	status *topStatus
	err    error
}

// Init implements tea.Model.
func (m *topModel) Init() tea.Cmd { return m.askLater() }

func (m *topModel) askLater() tea.Cmd {
	return tea.Tick(m.top.interval, func(time.Time) tea.Msg {
		status, err := m.top.ask(m.ctx)
		return answered{status, err}
	})
}

// Update implements tea.Model.
func (m *topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c":
			return m, tea.Quit
		}
	case answered:
		if m.err = msg.err; msg.err == nil {
			m.before, m.now = m.now, msg.status
		}
		return m, m.askLater()
	}
	return m, nil
}

// View implements tea.Model.
func (m *topModel) View() tea.View {
	screen := topScreen{style: m.top.styleOf(m.top.stdout), address: m.top.address, width: m.width, height: m.height,
		err: m.err, hint: true}
	v := tea.NewView(screen.text(m.before, m.now))
	v.AltScreen = true
	return v
}
