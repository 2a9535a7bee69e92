# SPDX-License-Identifier: Apache-2.0
"""Chat templates (Jinja) that several families share."""

# Each medium on a line of its own. Of several texts in a row, `between` stands in between.
BODY = """
{%- macro body(parts, between='\\n') -%}
    {%- for part in parts -%}
        {%- if part.type != 'text' -%}{{ '<' + part.type + '>\\n' }}
        {%- elif loop.last -%}{{ part.text }}
        {%- else -%}{{ part.text + (between if loop.nextitem.type == 'text' else '\\n') }}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro -%}
"""

VICUNA = (
    BODY
    + """
{%- for message in messages -%}
    {%- if message.role == 'system' -%}{{ body(message.content, ' ') + ' ' }}
    {%- elif message.role == 'user' -%}{{ 'USER: ' + body(message.content, ' ') + ' ' }}
    {%- else -%}{{ 'ASSISTANT: ' + body(message.content, ' ') + eos_token }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}
"""
)
