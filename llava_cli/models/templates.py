# SPDX-License-Identifier: Apache-2.0
"""Chat templates (Jinja) that several families share."""

BODY = """
{%- macro body(parts) -%}
    {%- for part in parts -%}
        {%- if part.type == 'text' -%}{{ part.text }}{%- else -%}{{ '<' + part.type + '>\\n' }}{%- endif -%}
    {%- endfor -%}
{%- endmacro -%}
"""

VICUNA = (
    BODY
    + """
{%- for message in messages -%}
    {%- if message.role == 'system' -%}{{ body(message.content) + ' ' }}
    {%- elif message.role == 'user' -%}{{ 'USER: ' + body(message.content) + ' ' }}
    {%- else -%}{{ 'ASSISTANT: ' + body(message.content) + eos_token }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}
"""
)
