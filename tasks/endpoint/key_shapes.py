"""What keys, tokens and passwords look like, by the shapes that their makers document.

Only shapes that nothing innocent has: a digest, a commit, a path, a model's name and a uuid match none of them.
"""

import re

SHAPES = (
    # models: OpenAI, Anthropic, OpenRouter, Langfuse; Groq; xAI; Hugging Face; NVIDIA; Replicate; Perplexity; Tavily
    r"(?:sk|pk|rk)[-_](?=[\w-]*\d)[A-Za-z0-9_-]{20,}",
    r"(?:gsk_|xai-|nvapi-|r8_|pplx-|tvly-|fw_|csk-)(?=[\w-]*\d)[A-Za-z0-9_-]{20,}",
    r"hf_[A-Za-z0-9]{20,}",
    r"api_org_[A-Za-z0-9]{20,}",
    # code and packages: GitHub, GitLab, Bitbucket and Atlassian, npm, PyPI, RubyGems, Docker
    r"gh[oprsu]_[A-Za-z0-9]{20,}",
    r"github_pat_\w{20,}",
    r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[\w.-]{20,}",
    r"(?:ATATT|ATBB|ATCTT)[\w=-]{20,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[\w-]{50,}",
    r"rubygems_[0-9a-f]{40,}",
    r"dckr_(?:pat|oat)_[\w-]{20,}",
    # clouds: AWS, Google, Azure, DigitalOcean, Databricks, HashiCorp Vault and Terraform, Cloudflare
    r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}\b",
    r"AIza[\w-]{30,}",
    r"ya29\.[\w-]{20,}",
    r"GOCSPX-[\w-]{20,}",
    r"1//0[\w-]{30,}",
    r"(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^\s;]{16,}",
    r"do[opr]_v1_[0-9a-f]{40,}",
    r"dapi[0-9a-f]{32}\b",
    r"hv[bsr]\.[\w-]{20,}",
    r"\w{14}\.atlasv1\.[\w-]{40,}",
    # payment, mail, messages and others: Stripe's webhooks, Square, Shopify, SendGrid, Mailgun, Twilio, Slack, Discord,
    # Teams, Telegram, Grafana, Sentry, Notion, Linear, Figma, Postman, Airtable, age
    r"whsec_[A-Za-z0-9+/=]{20,}",
    r"sq0[a-z]{3}-[\w-]{20,}",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",
    r"key-[0-9a-f]{32}\b",
    r"(?:AC|SK)[0-9a-f]{32}\b",
    r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}",
    r"xapp-\d-[A-Za-z0-9-]{10,}",
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/\S+",
    r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/\S+",
    r"\w+\.webhook\.office\.com/\S+",
    r"\d{8,10}:AA[\w-]{32,}",
    r"gl(?:sa|c)_[\w=+/]{20,}",
    r"sntr(?:ys|yu)_[\w=+/-]{20,}",
    r"(?:secret|ntn)_(?=\w*\d)[A-Za-z0-9]{40,}",
    r"lin_(?:api|oauth)_[A-Za-z0-9]{20,}",
    r"fig[dou]_[\w-]{20,}",
    r"PMAK-[0-9a-f]{20,}-[0-9a-f]{20,}",
    r"pat[A-Za-z0-9]{14}\.[0-9a-f]{40,}",
    r"AGE-SECRET-KEY-1[0-9A-Z]{20,}",
    # forms: JSON Web Tokens, headers
    r"eyJ[\w-]{8,}\.(?:eyJ)?[\w-]{8,}\.[\w-]*",
    r"Bearer\s+[^\s\"']{8,}",
    r"[Aa]uthorization[\"']?\s*[:=]\s*[\"']?(?:[Bb]asic|[Tt]oken)\s+[^\s\"']{8,}",
)
WITHIN = (
    r"(?:X-Amz-Signature|X-Goog-Signature|[?&;]sig)=[\w%/+=-]{20,}",
    r"-----BEGIN [A-Z0-9 ]+-----",
    r"PuTTY-User-Key-File-\d",
    # a value beside the word for it
    r"(?i:secret_?(?:access_?)?key|api[_-]?key|client_?secret)[\"']?\s*[:=]\s*[\"']?"
    r"(?=\S*\d)(?=\S*[A-Za-z])[\w+/=.~-]{16,}",
    r"(?i:token|secret)[\"']?\s*[:=]\s*[\"']?(?=\w*\d)(?:(?=\w*[A-Z])(?=\w*[a-z])[\w+=~]{20,}|[0-9a-f]{32,})",
    r"(?i:passw(?:or)?d|passphrase)[\"']?\s*[:=]\s*[\"']?"
    r"(?=[^\s\"'<>{}$,;]*\d)(?=[^\s\"'<>{}$,;]*[A-Za-z])[^\s\"'<>{}$,;]{6,}",
)
"""Shapes that may follow a letter or a digit."""
LOOKS_SECRET = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(SHAPES)})|{'|'.join(WITHIN)}")
"""Texts that hold what is most likely a secret."""
