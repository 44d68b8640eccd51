import torch

from marketgpt_models.heads import CandleHead


def test_draws_follow_the_chain_law():
    """Two channels whose second copies the first: draws must agree with that, at the learned odds."""
    head = CandleHead(4, 8, (2, 2))
    h = torch.zeros(20_000, 4)
    with torch.no_grad():
        for weight in head.parameters():
            weight.zero_()
        head.token_embeddings[0].weight[1] = 1.0
        head.hidden_layers[1].weight.fill_(1.0)
        head.logits[1].weight[1] = 1.0
    u = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0))
    tokens = head.draw(h, u)
    assert abs(tokens[:, 0].float().mean() - 0.5) < 0.02
    # silu(4) * 8 hidden units: the second channel is 1 almost surely after a 1, and a coin after a 0
    assert tokens[tokens[:, 0] == 1, 1].float().mean() > 0.999
    assert abs(tokens[tokens[:, 0] == 0, 1].float().mean() - 0.5) < 0.02


def test_draws_rise_with_the_level_and_never_leave_the_vocabulary():
    torch.manual_seed(0)
    head = CandleHead(8, 8, (7,))
    u = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0 - 2.0**-24])[:, None]
    tokens = head.draw(torch.randn(1, 8).expand(5, 8), u)[:, 0]
    assert tokens.tolist() == sorted(tokens.tolist())
    assert (tokens[0], tokens[-1]) == (0, 6)


def test_low_temperature_takes_the_likeliest():
    torch.manual_seed(0)
    head = CandleHead(8, 8, (7,))
    with torch.no_grad():
        head.logits[0].weight.normal_()
    h = torch.randn(1, 8)
    likeliest = head.channel_logits(0, h).argmax()
    u = torch.linspace(0.01, 0.99, 20)[:, None]
    assert (head.draw(h.expand(20, 8), u, temperature=1e-4) == likeliest).all()
